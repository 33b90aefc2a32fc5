import TestSupport
import Testing

extension EndToEnd {
    /// wss:// to a port without TLS, and ws:// to one with it: both ends notice, and say what to write.
    @Suite(.serialized)
    struct WrongSchemeTests {
        @Test(
            "wss:// to a server without TLS: the client says ws://, the server logs what came",
            arguments: [false, true]
        )
        func secureToPlain(isBehindProxy: Bool) async throws {
            try await Scenario.play { scenario in
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

        @Test("ws:// to a server with TLS: the client says wss://, the server logs what came", .needs(.openssl))
        func plainToSecure() async throws {
            try await Scenario.play { scenario in
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

        @Test("the answers are a TLS alert and a 400, whole, before the connection is closed", .needs(.openssl))
        func answers() async throws {
            try await Scenario.play { scenario in
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
            "a front that speaks the PROXY protocol and is not named is told apart from a wrong scheme",
            .needs(.openssl)
        )
        func unnamedFront() async throws {
            try await Scenario.play { scenario in
                let (server, _) = try await scenario.secureServer()
                let front = try TCPSocket(port: server.port)
                try front.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
                _ = try front.receiveToEnd()
                _ = try await server.process.logLine { $0.contains("--trusted-front") }
            }
        }

        @Test("bytes that come one by one are still TLS, or HTTP", .needs(.openssl))
        func trickle() async throws {
            try await Scenario.play { scenario in
                let plain = try await scenario.server()
                let request = try TCPSocket(port: plain.port)
                for byte in Array("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8) { try request.send([byte]) }
                let answer = String(decoding: try request.receiveToEnd(), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 404 "), "\(answer)")
            }
        }

        @Test(
            "ws:// to other programs' TLS ports is recognised by what they answer",
            arguments: [
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<title>400 The plain HTTP request was sent to HTTPS port</title>",
                "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 75\r\n\r\n"
                    + "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br /> etc.",
                "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F",
            ]
        )
        func others(_ answer: String) async throws {
            try await Scenario.play { scenario in
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
