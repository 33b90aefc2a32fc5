import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Bad inputs at the server's port get a clear answer, and tunnels are not affected (H1 to H30).
    @Suite(.serialized)
    struct BadInputTests {
        struct Row: Sendable, CustomTestStringConvertible {
            let name: String
            let bytes: [UInt8]
            /// The valid statuses; empty if the answer is not HTTP.
            let statuses: [Int]
            /// A text that the answer must contain.
            var contains = ""

            init(_ name: String, _ bytes: [UInt8], _ statuses: [Int], contains: String = "") {
                (self.name, self.bytes, self.statuses, self.contains) = (name, bytes, statuses, contains)
            }

            init(_ name: String, _ text: String, _ statuses: [Int], contains: String = "") {
                self.init(name, Array(text.utf8), statuses, contains: contains)
            }

            var testDescription: String { name }
        }

        static func upgrade(version: String = "13", path: String = "/tunnel", more: String = "") -> String {
            """
            GET \(path) HTTP/1.1\r
            Host: localhost\r
            Upgrade: websocket\r
            Connection: Upgrade\r
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
            Sec-WebSocket-Version: \(version)\r
            \(more)\r

            """
        }

        static let clientHello: [UInt8] =
            [0x16, 0x03, 0x01, 0x00, 0xF0, 0x01, 0x00, 0x00, 0xEC, 0x03, 0x03] + (0..<236).map { UInt8($0) }

        static let rows = [
            Row("garbage", [0x00, 0xFF, 0x13, 0x37] + [UInt8](repeating: 0xAA, count: 4_096), [400]),
            Row("an SSH banner", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", [400]),
            Row("a TLS ClientHello on the plain port", clientHello, [], contains: "\u{15}\u{3}\u{3}"),
            Row(
                "HTTP without upgrade",
                "GET /tunnel HTTP/1.1\r\nHost: localhost\r\n\r\n",
                [426],
                contains: "websocket"
            ),
            Row("HTTP at another path", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", [404]),
            Row("an upgrade at another path", upgrade(path: "/other"), [404]),
            Row("a wrong WebSocket version", upgrade(version: "8"), [426], contains: "Sec-WebSocket-Version: 13"),
            Row("a POST", "POST /tunnel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", [400, 405]),
            Row("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 405, 505]),
            Row("a browser's Origin", upgrade(more: "Origin: https://evil.example\r\n"), [403, 400]),
            Row("no subprotocol", upgrade(), [400]),
            Row(
                "an oversized head",
                "GET /tunnel HTTP/1.1\r\nHost: localhost\r\n" + String(repeating: "X-Filler: \(filler)\r\n", count: 40),
                [431]
            ),
            Row("one endless line", [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20), [400, 414, 431]),
            Row(
                "too many fields",
                "GET /tunnel HTTP/1.1\r\nHost: localhost\r\n" + (0..<100).map { "X-\($0): 1\r\n" }.joined() + "\r\n",
                [431]
            ),
        ]

        static let filler = String(repeating: "f", count: 1_000)

        @Test("Bad input gets an error or a close, and the tunnel still works", arguments: rows)
        func badInput(_ row: Row) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, client, port) = try await scenario.tunnel(to: echo)
                let visitor = try await onThread { try TCPSocket(port: port) }
                try await onThread {
                    let stranger = try TCPSocket(port: server.port)
                    // The server may close before it has read all. Then sending fails, and only its answer matters.
                    try? stranger.send(row.bytes)
                    let answer = String(decoding: try stranger.drain().bytes, as: UTF8.self)
                    stranger.close()
                    let status = answer.split(separator: " ").dropFirst().first.flatMap { Int($0) }
                    if let status {
                        try require(row.statuses.contains(status), answer)
                        try require(answer.lowercased().contains("connection: close"), answer)
                        try require(row.contains.isEmpty || answer.contains(row.contains), answer)
                    } else if row.statuses.isEmpty {
                        try require(answer.hasPrefix(row.contains), "wrong answer: \(answer)")
                    } else {
                        // A silent close is valid for input that is not HTTP, and if the RST has overtaken the answer.
                        try require(answer.isEmpty, answer)
                        try require(row.contains.isEmpty, "the answer is missing")
                    }
                }
                let answer = try await onThread {
                    try visitor.send("still there?")
                    return String(decoding: try visitor.receive(exactly: 12), as: UTF8.self)
                }
                #expect(answer == "still there?")
                visitor.close()
                try await expectEcho(through: port)
                #expect(server.process.exitStatus == nil)
                #expect(client.process.output.lines.count == 1, "the session was not replaced")
            }
        }

        @Test(
            "Invalid frames end only their own connection",
            arguments: [
                // A masked message of one byte, an unmasked one, a text, a length with its top bit set, a Close.
                [0x82, 0x81, 0, 0, 0, 0, 0xFF], [0x82, 0x01, 0x00], [0x81, 0x81, 0, 0, 0, 0, 0x41],
                [0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], [0x88, 0x80, 0, 0, 0, 0],
            ] as [[UInt8]]
        )
        func badFrames(_ frame: [UInt8]) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, _, port) = try await scenario.tunnel(to: echo)
                let name = try await subprotocol(of: server, in: scenario)
                try await onThread {
                    let stranger = try TCPSocket(port: server.port)
                    try stranger.send(Self.upgrade(more: "Sec-WebSocket-Protocol: \(name)\r\n"))
                    var head = ""
                    while !head.contains("\r\n\r\n") {
                        let bytes = try stranger.receive(upTo: 1)
                        if bytes.isEmpty { break }
                        head += String(decoding: bytes, as: UTF8.self)
                    }
                    try require(head.hasPrefix("HTTP/1.1 101 "), head)
                    try stranger.send(frame)
                    _ = try stranger.drain()
                    stranger.close()
                }
                try await expectEcho(through: port)
                #expect(server.process.exitStatus == nil)
            }
        }

        /// Reads the subprotocol from the upgrade request of a real client.
        private func subprotocol(of server: CulvertServer, in scenario: Scenario) async throws -> String {
            let heads = Mailbox<String>()
            let listener = try TCPService { socket in
                var head = ""
                while !head.contains("\r\n\r\n") {
                    let bytes = try socket.receive()
                    if bytes.isEmpty { break }
                    head += String(decoding: bytes, as: UTF8.self)
                }
                heads.put(head)
            }
            let client = try scenario.client(
                "ws://127.0.0.1:\(listener.port)",
                ["0:localhost:9"],
                options: ["--name", "probe"]
            )
            let head = try await heads.next("the client's upgrade")
            await client.process.end()
            let field = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-protocol:") }
            return String(try #require(field).split(separator: ":")[1].drop { $0 == " " })
        }
    }
}
