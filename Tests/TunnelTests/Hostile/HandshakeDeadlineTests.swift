import TestSupport
import Testing

extension HostileTests {
    /// Incomplete handshakes.
    @Suite(.serialized)
    struct HandshakeDeadlineTests {
        @Test("H19 X3 an incomplete handshake ends with a timeout, and an HTTP request with 408", .tags(.slow))
        func standstill() async throws {
            try await RunningServer.with({ $0.serverLimits.handshakeTimeout = .seconds(2) }) { server in
                async let silent = Self.ending(server.port, "")
                async let half = Self.ending(server.port, "GET /tunnel HTTP/1.1\r\nHost: local")
                async let upgraded = Self.ending(server.port, WirePeer.upgradeRequest)
                for (end, status) in [(try await silent, "408"), (try await half, "408"), (try await upgraded, "101")] {
                    #expect(end.text.hasPrefix("HTTP/1.1 \(status) "))
                    #expect(end.text.ranges(of: "HTTP/1.1").count == 1)
                    #expect(end.after > .milliseconds(1_900) && end.after < .seconds(9))
                }
            }
        }

        private static func ending(_ port: UInt16, _ request: String) async throws -> (text: String, after: Duration) {
            try await onThread {
                let began = ContinuousClock.now
                let socket = try TCPSocket(port: port)
                try socket.send(request)
                let bytes = try socket.drain().bytes
                return (String(decoding: bytes, as: UTF8.self), .now - began)
            }
        }
    }
}
