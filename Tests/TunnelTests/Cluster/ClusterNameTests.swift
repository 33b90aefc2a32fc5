import Cluster
import HTTPRelay
import Mux
import NIOCore
import NetworkAddress
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Host names in a cluster: a visitor reaches a name at every server.
@Suite("Host names at any server of a cluster", .serialized)
struct ClusterNameTests {
    private func withNames(
        fronts: Bool = false,
        _ body: @Sendable (RunningCluster) async throws -> Void
    ) async throws {
        try await RunningCluster.with(3) { configuration in
            if fronts {
                configuration.trustedFronts = TrustedFronts(blocks: [CIDRBlock("127.0.0.0/8")].compactMap { $0 })
            }
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

    @Test("Each request of a front is for its own visitor, with the front's statements, also at another server")
    func front() async throws {
        let service = try TCPService.http("app")
        defer { service.stop() }
        try await withNames(fronts: true) { cluster in
            try await withName("app.example.test", at: cluster.members[0], to: service, in: cluster) {
                for member in cluster.members {
                    for number in 1...2 {
                        let fields =
                            "X-Forwarded-For: 203.0.113.\(number)\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n"
                        let answer = try await onThread {
                            try HTTPConnection(TCPSocket(port: member.http))
                                .get("/", host: "app.example.test", fields: fields)
                        }
                        for line in ["For: 203.0.113.\(number)", "Proto: https", "Host: a"] {
                            try require(answer.body.contains("X-Forwarded-\(line)\r\n"), answer.body)
                        }
                    }
                }
            }
        }
    }

    @Test(
        "A visitor's own statements about its origin are left out at every server, and another server ends its connection"
    )
    func forged() async throws {
        let service = try TCPService.http("app")
        defer { service.stop() }
        try await withNames { cluster in
            try await withName("app.example.test", at: cluster.members[0], to: service, in: cluster) {
                for (number, member) in cluster.members.enumerated() {
                    let (answer, second) = try await onThread {
                        let connection = HTTPConnection(try TCPSocket(port: member.http))
                        let fields = "X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: https\r\nForwarded: for=x\r\n"
                        let answer = try connection.get("/", host: "app.example.test", fields: fields)
                        return (answer, try? connection.get("/", host: "app.example.test"))
                    }
                    for line in ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "Forwarded: for=127.0.0.1;"] {
                        try require(answer.body.contains(line), answer.body)
                    }
                    try require(!answer.body.contains("192.0.2.66") && !answer.body.contains("for=x"), answer.body)
                    try require((second == nil) == (number > 0), "\(String(describing: second))")
                }
            }
        }
    }

    @Test("A request for a name whose server is not reached is answered with 503")
    func unreached() async throws {
        try await withNames { cluster in
            let lease = try await cluster.store.grantLease(seconds: 10)
            let gone = ServerRecord(ServerID(7), peerURL: "ws://127.0.0.1:9", version: "", since: 0)
            let key = ClaimKey(
                .name("app.example.test"),
                part: "http:",
                owner: .client([1]),
                member: ClaimMember(client: [1], instance: [1])
            )
            let claim = Claim(key, home: gone.id, session: [1], tunnel: 0, client: "alice", since: 0)
            _ = try await cluster.store.apply([.server(gone, lease: lease), .claim(claim, lease: lease, over: nil)])
            let answer = try await get("app.example.test", at: cluster.members[1])
            try require(answer.hasPrefix("HTTP/1.1 503") && answer.contains("Retry-After: 2"), answer)
        }
    }
}
