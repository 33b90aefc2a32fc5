import HTTPRelay
import Mux
import NIOCore
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Host names in a cluster: a visitor reaches a name at every server.
@Suite("Host names at any server of a cluster", .serialized)
struct ClusterNameTests {
    private func withNames(_ body: @Sendable (RunningCluster) async throws -> Void) async throws {
        try await RunningCluster.with(3) { configuration in
            configuration.httpListen = [.tcp(host: "127.0.0.1", port: 0)]
            for index in configuration.clients.indices {
                configuration.clients[index].names = [NamePattern("*.example.test")].compactMap { $0 }
            }
        } _: { cluster in
            try await body(cluster)
        }
    }

    /// Runs a client with a name that leads to a service.
    private func withName(
        _ name: String,
        of identity: Identity = .alice,
        at member: RunningCluster.Member,
        to service: TCPService,
        log: CollectedLog = CollectedLog(),
        in cluster: RunningCluster,
        _ body: () async throws -> Void
    ) async throws {
        let urls = Mailbox<String>()
        let spec = try TunnelSpec("http:\(name):127.0.0.1:\(service.port)")
        let client = try cluster.client(
            "ws://127.0.0.1:\(member.port)",
            as: identity,
            port: 0,
            to: 0,
            tunnels: [spec],
            log: log,
            urls
        )
        let running = Task { try await client.run() }
        _ = try await urls.next("the name is public")
        try await body()
        running.cancel()
        _ = try? await running.value
    }

    private func get(_ name: String, at member: RunningCluster.Member, body: String = "") async throws -> String {
        try await onThread {
            let visitor = try TCPSocket(port: member.http)
            let length = body.isEmpty ? "" : "Content-Length: \(body.utf8.count)\r\n"
            try visitor.send("POST / HTTP/1.1\r\nHost: \(name)\r\n\(length)Connection: close\r\n\r\n\(body)")
            return String(decoding: try visitor.receiveToEnd(), as: UTF8.self)
        }
    }

    @Test("A request at any server reaches the client that has its name")
    func requests() async throws {
        let service = try TCPService.http("app")
        defer { service.stop() }
        try await withNames { cluster in
            try await withName("app.example.test", at: cluster.members[0], to: service, in: cluster) {
                for member in cluster.members {
                    let answer = try await get("app.example.test", at: member, body: "hello")
                    try require(answer.hasPrefix("HTTP/1.1 200") && answer.hasSuffix("5\n"), answer)
                }
                let answer = try await get("other.example.test", at: cluster.members[1])
                try require(answer.hasPrefix("HTTP/1.1 404"), answer)
            }
        }
    }

    @Test("A name is one client's in the whole cluster")
    func exclusive() async throws {
        let service = try TCPService.http("app")
        defer { service.stop() }
        try await withNames { cluster in
            try await withName("app.example.test", at: cluster.members[0], to: service, in: cluster) {
                let log = CollectedLog()
                let spec = try TunnelSpec("http:app.example.test:127.0.0.1:1")
                let url = "ws://127.0.0.1:\(cluster.members[1].port)"
                let bob = try cluster.client(url, as: .bob, port: 0, to: 0, tunnels: [spec], log: log, Mailbox())
                let running = Task { try await bob.run() }
                try await eventually("Bob is told who has the name") {
                    log.count("is held by alice at another server") > 0
                }
                running.cancel()
                _ = try? await running.value
            }
        }
    }

    @Test("A name whose client has moved to another server is found there")
    func moved() async throws {
        let (one, two) = (try TCPService.http("one"), try TCPService.http("two"))
        defer {
            one.stop()
            two.stop()
        }
        try await withNames { cluster in
            try await withName("app.example.test", at: cluster.members[0], to: one, in: cluster) {
                let answer = try await get("app.example.test", at: cluster.members[2])
                try require(answer.hasPrefix("HTTP/1.1 200"), answer)
            }
            try await withName("app.example.test", of: .bob, at: cluster.members[1], to: two, in: cluster) {
                let third = cluster.members[2]
                try await eventually("the third server finds the new home") {
                    guard let visitor = try? TCPSocket(port: third.http) else { return false }
                    try? visitor.send("GET / HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n")
                    let answer = String(decoding: (try? visitor.receiveToEnd()) ?? [], as: UTF8.self)
                    return answer.firstRange(of: "two\n") != nil
                }
            }
        }
    }
}
