import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `allow_open` of a client with a SOCKS tunnel, and its changes while streams run.
    @Suite(.serialized)
    struct SocksTunnelRightsTests {
        @Test(
            "After SIGHUP with a narrower allow_open, the stream that it does not list is reset, and the other goes on"
        )
        func narrowed() async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<TCPSocket.Ending>()
                let kept = try TCPService.echo()
                let removed = try TCPService { socket in
                    try socket.send("x")
                    endings.put(try socket.drain().ending)
                }
                let server = try await scenario.server()
                let file = "\(scenario.directory)/client.toml"
                let all = ["127.0.0.1:\(kept.port)", "127.0.0.1:\(removed.port)"]
                try scenario.write(Self.configuration(server.url, allowing: all), to: file)
                let client = try scenario.culvert(
                    "client",
                    ["client", "--config", file, "--token-file", scenario.tokenFile]
                )
                let words = try await client.line { $0.hasPrefix("tunnel ") }.split(separator: " ")
                let port = try #require(words[1].split(separator: ":").last.flatMap { UInt16($0) })
                let (keptVisitor, removedVisitor) = try await onThread {
                    (try Self.visitor(at: port, to: kept.port), try Self.visitor(at: port, to: removed.port))
                }
                try await onThread {
                    try keptVisitor.requireEcho("before")
                    _ = try removedVisitor.receive(exactly: 1)
                }
                try scenario.write(Self.configuration(server.url, allowing: [all[0]]), to: file)
                client.signal(SIGHUP)
                #expect(try await onThread { try removedVisitor.drain().ending } == .reset)
                #expect(try await endings.next("the service sees the end") == .reset)
                try await onThread { try keptVisitor.requireEcho("after") }
                let line = try await client.logLine { $0.contains("does not list its destination any more") }
                expect(line, says: all[1])
                #expect(client.errors.lines.count { $0.contains("does not list its destination any more") } == 1)
            }
        }

        /// A visitor whose SOCKS 5 request for a port of 127.0.0.1 is granted.
        private static func visitor(at port: UInt16, to destination: UInt16) throws -> TCPSocket {
            let socket = try TCPSocket(port: port)
            try socket.send([5, 1, 0])
            _ = try socket.receive(exactly: 2)
            try socket.send([5, 1, 0, 1, 127, 0, 0, 1, UInt8(destination >> 8), UInt8(destination & 0xFF)])
            let reply = try socket.receive(exactly: 10)
            #expect(reply[1] == 0)
            return socket
        }

        private static func configuration(_ url: String, allowing rules: [String]) -> String {
            """
            url = "\(url)"
            allow_open = [\(rules.map { "\"\($0)\"" }.joined(separator: ", "))]

            [[tunnel]]
            remote = "0"
            local = "socks"

            """
        }
    }
}
