import TestSupport
import Testing

extension EndToEnd {
    /// URLs with wss:// for a port without TLS, and with ws:// for a port with TLS.
    @Suite(.serialized)
    struct WrongSchemeTests {
        @Test(
            "For wss:// to a server without TLS the client suggests ws://, and the server logs the handshake",
            arguments: [false, true]
        )
        func secureToPlain(isBehindProxy: Bool) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = isBehindProxy ? ["--proxy", try ScriptedProxy.open().url] : []
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(server.port)",
                    proxy + ["--max-retries", "0"]
                )
                expect(line, says: ": TLS: ", "does not speak TLS", "ws://")
                let log = try await server.process.logLine { $0.contains("a TLS handshake came to a port without TLS") }
                expect(log, says: "info", "peer=127.0.0.1")
            }
        }

        @Test(
            "For ws:// to a server with TLS the client suggests wss://, and the server logs the request",
            .needs(.openssl)
        )
        func plainToSecure() async throws {
            try await Scenario.run { scenario in
                let (server, _) = try await scenario.secureServer()
                let line = try await scenario.expectEnd(
                    76,
                    from: "ws://localhost:\(server.port)",
                    ["--max-retries", "0"]
                )
                expect(line, says: "upgrade: HTTP 400", "wss://")
                let log = try await server.process.logLine {
                    $0.contains("a request without TLS came to a port that speaks")
                }
                expect(log, says: "info", "peer=127.0.0.1")
            }
        }

        @Test("The server sends a complete TLS alert or 400 before it closes the connection", .needs(.openssl))
        func answers() async throws {
            try await Scenario.run { scenario in
                let plain = try await scenario.server()
                let hello = try TCPSocket(port: plain.port)
                try hello.send([0x16, 0x03, 0x01, 0x02, 0x00] + Array(repeating: 0, count: 512))
                #expect(try hello.receiveToEnd() == [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0A])
                let (server, _) = try await scenario.secureServer()
                let request = try TCPSocket(port: server.port)
                try request.send("GET /tunnel HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let answer = String(decoding: try request.receiveToEnd(), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && answer.contains("use wss://"), "\(answer)")
            }
        }

        @Test(
            "A PROXY header from an untrusted front causes a log line with --trusted-front",
            .needs(.openssl)
        )
        func unnamedFront() async throws {
            try await Scenario.run { scenario in
                let (server, _) = try await scenario.secureServer()
                let front = try TCPSocket(port: server.port)
                try front.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
                _ = try front.receiveToEnd()
                _ = try await server.process.logLine { $0.contains("--trusted-front") }
            }
        }

        @Test("A request in single bytes is recognised as HTTP", .needs(.openssl))
        func singleBytes() async throws {
            try await Scenario.run { scenario in
                let plain = try await scenario.server()
                let request = try TCPSocket(port: plain.port)
                for byte in Array("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8) { try request.send([byte]) }
                let answer = String(decoding: try request.receiveToEnd(), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 404 "), "\(answer)")
            }
        }

        @Test(
            "ws:// to the TLS port of another program is recognised by its answer",
            arguments: [
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<title>400 The plain HTTP request was sent to HTTPS port</title>",
                "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 75\r\n\r\n"
                    + "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br /> etc.",
                "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F",
            ]
        )
        func others(_ answer: String) async throws {
            try await Scenario.run { scenario in
                let other = try TCPService { socket in
                    _ = try socket.receive()
                    try socket.send(answer)
                    try socket.finishSending()
                    _ = try socket.receiveToEnd()
                }
                let line = try await scenario.expectEnd(
                    76,
                    from: "ws://localhost:\(other.port)",
                    ["--max-retries", "0"]
                )
                expect(line, says: "write the URL with wss://")
            }
        }
    }
}
