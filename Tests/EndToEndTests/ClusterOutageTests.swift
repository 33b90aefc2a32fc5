import Foundation
import TestSupport
import Testing

/// A cluster whose etcd is away for longer than all leases.
@Suite(
    "A cluster without etcd",
    .serialized,
    .enabled(if: TestRun.isHeavy && HostNetwork.notReadyReason == nil, "leases end, and namespaces need root")
)
struct ClusterOutageTests {
    private static let (port, latePort): (UInt16, UInt16) = (16_022, 16_030)
    /// Ten minutes, or a time in which all leases of 10 s end.
    private static let outage = Duration.seconds(TestRun.isSlow ? 600 : 40)

    /// The way in which etcd is away: its machines refuse, or do not answer.
    enum Absence: String, CaseIterable, Sendable { case killed, paused }

    @Test(
        "All that is known continues, with resumes at any server, and claims are in etcd 2 s after its return",
        arguments: Absence.allCases
    )
    func outage(absence: Absence) async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            _ = try await cluster.startAll()
            try await cluster.startFront([Self.port])
            let relay = try await cluster.relay()
            let service = try await cluster.echo()
            let web = try await cluster.outside.run { try TCPService.http("app") }
            defer { for service in [service, web] { service.stop() } }
            let client = try cluster.client(
                "client",
                through: relay,
                port: Self.port,
                to: service.port,
                remotes: ["http:app.example.test:127.0.0.1:\(web.port)"]
            )
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places {
                try await cluster.expectEcho(Self.port, at: place)
                #expect(try await cluster.serves("app.example.test", at: place))
            }
            var streams: [TCPSocket] = []
            for place in cluster.places {
                streams.append(try await cluster.visitor(Self.port, at: place, within: .seconds(60)))
            }
            for stream in streams { #expect(await stream.echoes()) }
            let claims = try cluster.claims()

            for member in 0..<3 {
                switch absence {
                case .killed: try await cluster.etcd.kill(member)
                case .paused: try cluster.etcd.pause(member)
                }
            }
            let begin = ContinuousClock.now
            for place in cluster.places {
                try await cluster.expectMetric("culvert_cluster_store_up", "0", at: place)
            }
            print("\(absence): the absence is known after \(ContinuousClock.now - begin)")
            let late = try cluster.client("late", port: Self.latePort, to: service.port)
            _ = try await late.process.logLine { $0.contains("the cluster's store does not answer") }

            var resumes = 0
            // What must continue is asked for until the absence is over.
            while ContinuousClock.now < begin + Self.outage {
                relay.cut(.reset)
                let skip = resumes
                _ = try await client.process.logLine(skip: skip) { $0.contains("session resumed") }
                resumes += 1
                for (stream, place) in zip(streams, cluster.places) {
                    #expect(await stream.echoes(), "the stream at \(place.name) after \(resumes) resumes")
                    #expect(await cluster.echoes(Self.port, at: place), "\(place.name) after \(resumes) resumes")
                    #expect(try await cluster.serves("app.example.test", at: place), "\(place.name)")
                    #expect(try await cluster.get("/readyz", at: place).status == 200, "\(place.name)")
                    try await cluster.expectMetric("culvert_cluster_store_up", "0", at: place)
                }
                try await Task.sleep(for: .seconds(3))
            }
            print("\(absence): \(resumes) resumes in \(ContinuousClock.now - begin)")
            #expect(late.process.output.lines == [])

            for member in 0..<3 {
                switch absence {
                case .killed: try await cluster.etcd.restart(member)
                case .paused: try cluster.etcd.resume(member)
                }
            }
            let back = ContinuousClock.now
            try await eventually("etcd answers") { (try? cluster.claims()) != nil }
            let answered = ContinuousClock.now
            print(
                "\(absence): etcd answers \(answered - back) after its return, with \(try cluster.claims()) of \(claims) claims"
            )
            try await eventually("the claims are in etcd") { try cluster.claims() >= claims }
            let restored = ContinuousClock.now - answered
            print("\(absence): the claims are in etcd \(restored) after its first answer")
            #expect(restored < .seconds(2))
            _ = try await late.tunnel(to: service.port, within: .seconds(30))
            print("\(absence): the new claim is granted \(ContinuousClock.now - answered) after etcd's first answer")
            for place in cluster.places {
                try await cluster.expectMetric("culvert_cluster_store_up", "1", at: place)
                #expect(await cluster.echoes(Self.port, at: place), "\(place.name)")
            }
            for stream in streams { #expect(await stream.echoes()) }
            // No claim of another lease may end the session later.
            try await Task.sleep(for: .seconds(12))
            #expect(try cluster.claims() == claims + 1)
            for stream in streams { #expect(await stream.echoes()) }
            #expect(client.process.output.lines.count { $0.hasPrefix("tunnel tcp") } == 1, "\(client.process)")
        }
    }
}

extension ClusterNetwork {
    /// Sends a request to a server's admin socket.
    func get(_ target: String, at place: Place) async throws -> (status: Int, body: String) {
        try await onThread {
            let answer = try TCPSocket(unixPath: place.admin, timeout: .seconds(20)).request("GET", target)
            return (answer.status, answer.body)
        }
    }

    /// Waits until a metric of a server has a value.
    func expectMetric(_ name: String, _ value: String, at place: Place) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while try await !get("/metrics", at: place).body.contains("\n\(name) \(value)\n") {
            guard ContinuousClock.now < deadline else {
                throw ScenarioFailure(description: "\(name) of \(place.name) is not \(value) within 20 s")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Whether a host name is served at a server now.
    func serves(_ name: String, at place: Place) async throws -> Bool {
        try await outside.run {
            let socket = try TCPSocket(port: Self.http, address: place.host.address, timeout: .seconds(20))
            return try HTTPConnection(socket).get("/", host: name).status == 200
        }
    }
}
