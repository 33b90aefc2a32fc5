import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

@Suite("Admin: the server on real sockets")
struct AdminServerTests {
    /// A role whose status takes a configurable time.
    private struct Role: AdminTarget {
        var delay = Duration.zero
        var notReadyReason: String? { nil }
        func measure() async {}

        func status(session: Int?) async throws -> [UInt8] {
            try await Task.sleep(for: delay)
            return Array("{}".utf8)
        }

        func kick(_ name: String) async -> Int? { name.utf8.count }
        func renew(_ name: String?) async -> RenewResult? { name.map { RenewResult(asked: $0.utf8.count) } }
    }

    private func with(
        _ role: Role = Role(),
        metrics: (@Sendable () -> String)? = { "a 1\n" },
        limits: AdminLimits = .init(timeout: .seconds(300)),
        _ body: (String) async throws -> Void
    ) async throws {
        let path = NSTemporaryDirectory() + "culvert-\(UInt32.random(in: 0 ... .max)).sock"
        let server = try #require(
            await AdminServer.start(
                AdminPlaces([.unix(path: path)]),
                role: role,
                metrics: metrics,
                group: MultiThreadedEventLoopGroup.singleton,
                limits: { limits },
                logger: CollectedLog().logger
            )
        )
        do {
            try await body(path)
            await server.stop()
        } catch {
            await server.stop()
            throw error
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("Each request is answered once, and its connection is closed")
    func requests() async throws {
        try await with { path in
            let rows = [
                ("GET", "/metrics", 200, "a 1\n"), ("HEAD", "/metrics", 200, ""), ("GET", "/healthz", 200, "ok\n"),
                ("GET", "/readyz", 200, "ready\n"), ("GET", "/status", 200, "{}\n"), ("GET", "/x", 404, "not found\n"),
            ]
            for (method, target, status, body) in rows {
                let answer = try await onThread { try TCPSocket(unixPath: path).request(method, target) }
                #expect(answer.status == status && answer.body == body, "\(method) \(target): \(answer)")
            }
            let kick = try await onThread { try TCPSocket(unixPath: path).request("POST", "/kick?name=abc") }
            #expect(kick.body.contains("\"kicked\" : 3"))
        }
    }

    @Test("Without a metrics backend /metrics is 404")
    func noMetrics() async throws {
        try await with(metrics: nil) { path in
            let answer = try await onThread { try TCPSocket(unixPath: path).request("GET", "/metrics") }
            #expect(answer.status == 404)
        }
    }

    @Test("A client that half-closes after its request receives the complete answer")
    func halfClosed() async throws {
        let text = String(repeating: "metric 1\n", count: 500_000)
        try await with(metrics: { text }) { path in
            let answer = try await onThread {
                let socket = try TCPSocket(unixPath: path)
                try socket.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                try socket.finishSending()
                return try socket.drain().bytes
            }
            #expect(answer.count > text.utf8.count)
        }
    }

    @Test("Silent clients, slow heads and unread answers end with a timeout", arguments: 0..<3)
    func slow(_ kind: Int) async throws {
        let text = String(repeating: "metric 1\n", count: 2_000_000)
        try await with(metrics: { text }, limits: .init(timeout: .milliseconds(300))) { path in
            let ended = try await onThread {
                let socket = try TCPSocket(unixPath: path)
                let began = ContinuousClock.now
                switch kind {
                case 0:
                    let answer = String(decoding: try socket.drain().bytes, as: UTF8.self)
                    try require(answer.hasPrefix("HTTP/1.1 408 "), answer)
                case 1:
                    do {
                        try socket.send("GET /metrics HTTP/1.1\r\n")
                        while ContinuousClock.now - began < .seconds(10) {
                            try socket.send("X: y\r\n")
                            Thread.sleep(forTimeInterval: 0.02)
                        }
                    } catch {
                        // The server has closed the connection.
                    }
                default:
                    try socket.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                    Thread.sleep(forTimeInterval: 1)
                    let bytes = try socket.drain().bytes
                    try require(bytes.count < text.utf8.count, "the whole answer arrived")
                }
                socket.close()
                return ContinuousClock.now - began
            }
            #expect(ended < .seconds(8))
        }
    }

    @Test("A client that leaves before its answer does not affect other requests")
    func gone() async throws {
        try await with(Role(delay: .milliseconds(100))) { path in
            for _ in 0..<20 {
                let socket = try TCPSocket(unixPath: path)
                try socket.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
                socket.close()
            }
            let answer = try await onThread { try TCPSocket(unixPath: path).request("GET", "/status") }
            #expect(answer.status == 200)
        }
    }

    @Test("A connection beyond the limit is closed at once, and later ones are accepted again")
    func limit() async throws {
        try await with(limits: .init(connections: 2, timeout: .seconds(60))) { path in
            let held = try (0..<2).map { _ in try TCPSocket(unixPath: path) }
            try await eventually("another connection is closed") {
                let one = try TCPSocket(unixPath: path, timeout: .seconds(1))
                return (try? one.drain().bytes.isEmpty) ?? false
            }
            for socket in held { socket.close() }
            try await eventually("connections are accepted again") {
                (try? TCPSocket(unixPath: path).request("GET", "/healthz").status) == 200
            }
        }
    }

    @Test("The socket has mode 0600 as soon as it exists")
    func mode() async throws {
        try await with { path in
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }
}
