import Cluster
import Mux
import NIOCore
import NetworkAddress
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Rules of the operator that hold at every server.
@Suite("Rules at any server of a cluster", .serialized)
struct ClusterRulesTests {
    @Test("A port of a client that may have some addresses only is bound on these, and is no claim of the cluster")
    func hiddenPort() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with(2) { configuration in
            configuration.clients[0].allowedAddresses = ["127.0.0.9"]
            configuration.clients[0].allowsLoopback = true
            configuration.publicAddress = configuration.publicAddress == "127.0.0.1" ? "0.0.0.0" : "127.0.0.2"
        } _: { cluster in
            let port = try FreePorts.next()
            try await cluster.withClient(at: [0], port: port, to: target) { _ in
                try await onThread {
                    let visitor = try TCPSocket(port: port, address: "127.0.0.9")
                    try visitor.send("hello")
                    _ = try visitor.receive(exactly: 5)
                    visitor.close()
                }
                guard case .snapshot(let snapshot) = await cluster.store.perform(.read(.ports)) else {
                    throw ScenarioFailure(description: "no answer")
                }
                try require(snapshot.claims.isEmpty, "\(snapshot.claims)")
            }
        }
    }

    @Test(
        "A front's PROXY header at any server names the visitor for the rules and the log, and does not reach the service"
    )
    func proxyHeader() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with(2) { configuration in
            configuration.trustedFronts = TrustedFronts(blocks: [CIDRBlock("127.0.0.0/8")].compactMap { $0 })
            configuration.hasFrontsOnPublicPorts = true
            configuration.visitors.deny = [CIDRBlock("198.51.100.0/24")].compactMap { $0 }
        } _: { cluster in
            let port = try FreePorts.next()
            try await cluster.withClient(at: [0], port: port, to: target) { _ in
                for member in cluster.members {
                    try await cluster.waitForPort(port, at: member)
                    try await onThread {
                        let visitor = try TCPSocket(port: port, address: member.address)
                        try visitor.send("PROXY TCP4 203.0.113.9 192.0.2.1 40001 22\r\nhello")
                        let answer = String(decoding: try visitor.receive(exactly: 5), as: UTF8.self)
                        try require(answer == "hello", answer)
                        visitor.close()
                        let denied = try TCPSocket(port: port, address: member.address)
                        try denied.send("PROXY TCP4 198.51.100.7 192.0.2.1 40001 22\r\nhello")
                        let ending = try denied.drain()
                        try require(ending.bytes == [] && ending.ending == .reset, "\(ending)")
                    }
                }
                try await eventually("the home names the visitors") {
                    cluster.members[0].log.count("visitor=203.0.113.9:40001") >= 2
                }
            }
        }
    }
}
