import Foundation
import TestSupport
import Testing

/// A server that joins a cluster without what the others trust.
@Suite(
    "A server that a cluster does not trust",
    .serialized,
    .enabled(if: TestRun.isHeavy && HostNetwork.notReadyReason == nil, "namespaces need root")
)
struct ClusterTrustTests {
    private static let (port, otherPort): (UInt16, UInt16) = (16_022, 16_024)

    @Test("A server with a certificate of another CA gets no visitors from the others, which log the reason")
    func certificate() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            let stranger = cluster.places[2]
            let authority = try await IssuedCertificate.make(
                .authority("Another CA"),
                in: scenario,
                named: "another-authority"
            )
            let own = try await IssuedCertificate.make(
                .leaf("IP:\(stranger.host.address)"),
                by: authority,
                in: scenario,
                named: "another-certificate"
            )
            try cluster.change("certificate", to: own.certificate, of: stranger)
            try cluster.change("key", to: own.key, of: stranger)
            let servers = try await cluster.startAll()
            let service = try await cluster.echo()
            defer { service.stop() }
            try await expectNoVisitors(from: cluster.places[0], to: stranger, cluster, service)
            let line = try await servers[0].logLine {
                $0.contains(" of the cluster ") && $0.contains("certificate")
            }
            print(line)
            try await expectServed(cluster, service)
        }
    }

    @Test("A server with another cluster token gets no visitors from the others and reaches none, and the logs say why")
    func token() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            let stranger = cluster.places[2]
            let file = "\(scenario.directory)/another-token"
            try scenario.write("another token, which is long enough\n", to: file)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
            // The last key of this name is that of the cluster.
            try cluster.change("token_file", to: file, of: stranger)
            let servers = try await cluster.startAll()
            let service = try await cluster.echo()
            defer { service.stop() }
            try await expectNoVisitors(from: cluster.places[0], to: stranger, cluster, service)
            _ = try await servers[0].logLine {
                $0.contains(" of the cluster ") && $0.contains("token")
            }
            _ = try await servers[2].logLine { $0.contains("client refused") && $0.hasSuffix("name=server") }
            try await expectServed(cluster, service)
            // In the other direction the stranger is refused.
            let visitor = try await cluster.visitor(Self.otherPort, at: stranger)
            let ending = try await onThread {
                try visitor.send("ping")
                return try visitor.drain()
            }
            #expect(ending.bytes == [] && ending.ending == .reset)
            _ = try await servers[2].logLine {
                $0.contains(" of the cluster ") && $0.contains("token")
            }
        }
    }

    /// Expects that a client at the stranger is served there, and that its visitors at another server are reset.
    private func expectNoVisitors(
        from place: ClusterNetwork.Place,
        to stranger: ClusterNetwork.Place,
        _ cluster: ClusterNetwork,
        _ service: TCPService
    ) async throws {
        let client = try cluster.client("of-stranger", at: stranger, port: Self.port, to: service.port)
        _ = try await client.tunnel(to: service.port)
        try await cluster.expectEcho(Self.port, at: stranger)
        // The port is known at the other server once it can be connected to.
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            if let visitor = try? await cluster.visitor(Self.port, at: place) {
                let ending = try await onThread {
                    try visitor.send("ping")
                    return try visitor.drain()
                }
                #expect(ending.bytes == [] && ending.ending == .reset)
                return
            }
            guard ContinuousClock.now < deadline else {
                throw ScenarioFailure(description: "\(place.name) does not listen at the port")
            }
        }
    }

    /// Expects that the others go on.
    private func expectServed(_ cluster: ClusterNetwork, _ service: TCPService) async throws {
        let client = try cluster.client("of-others", at: cluster.places[0], port: Self.otherPort, to: service.port)
        _ = try await client.tunnel(to: service.port)
        for place in cluster.places[..<2] { try await cluster.expectEcho(Self.otherPort, at: place) }
    }
}

extension ClusterNetwork {
    /// Changes the last value of a key in a server's configuration.
    func change(_ key: String, to value: String, of place: Place) throws {
        var lines = try String(contentsOfFile: place.configuration, encoding: .utf8).components(separatedBy: "\n")
        guard let line = lines.lastIndex(where: { $0.hasPrefix("\(key) = ") }) else {
            throw ScenarioFailure(description: "no \(key) in the configuration of \(place.name)")
        }
        lines[line] = "\(key) = \"\(value)\""
        try scenario.write(lines.joined(separator: "\n"), to: place.configuration)
    }
}
