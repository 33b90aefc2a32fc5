import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Unusual and invalid answers of proxies (R5 to R15).
    @Suite(.serialized)
    struct ProxyResponseTests {
        typealias Connection = ScriptedProxy.Connection

        static let (user, password) = ("olga", "odd-Secret-8")

        /// A proxy's script, and the numbers of connections and requests until the tunnel is open.
        struct Behaviour: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let connections: Int
            let requests: Int
            let script: @Sendable (Connection) throws -> Void

            init(
                _ name: String,
                connections: Int = 1,
                requests: Int = 1,
                _ script: @escaping @Sendable (Connection) throws -> Void
            ) {
                (self.testDescription, self.connections, self.requests) = (name, connections, requests)
                self.script = script
            }

            /// Requires Basic credentials with this answer, and opens the tunnel for a request that has them.
            static func demanding(_ name: String, connections: Int = 1, _ answer: String) -> Behaviour {
                Behaviour(name, connections: connections, requests: 2) { connection in
                    while let request = try connection.request() {
                        if request.field("Proxy-Authorization") == basic(user, password) {
                            return try connection.tunnel(request)
                        }
                        try connection.answer(answer)
                        if connections > 1 { return }
                    }
                }
            }

            /// Opens the tunnel with this answer.
            static func answering(_ name: String, _ answer: String) -> Behaviour {
                Behaviour(name) { connection in
                    if let request = try connection.request() { try connection.tunnel(request, answer: answer) }
                }
            }
        }

        static let challenge = "Proxy-Authenticate: Basic realm=\"odd\"\r\n"

        static let through = [
            Behaviour("a head in single bytes (R7)") { connection in
                guard let request = try connection.request() else { return }
                try connection.tunnel(request) { _ in
                    for byte in "HTTP/1.1 200 OK\r\nVia: 1.1 odd\r\n\r\n".utf8 {
                        try connection.socket.send([byte])
                        Thread.sleep(forTimeInterval: 0.002)
                    }
                }
            },
            Behaviour.answering("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"),
            Behaviour.answering("a status line without a reason", "HTTP/1.1 200\r\n\r\n"),
            Behaviour.answering(
                "200 with Content-Length and no body (R8)",
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
            ),
            Behaviour.answering(
                "200 with Transfer-Encoding: chunked and no body (R8)",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            Behaviour.answering("201", "HTTP/1.1 201 Created\r\n\r\n"),
            Behaviour.answering(
                "interim answers before the 200 (R5)",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                    + ScriptedProxy.established
            ),
            Behaviour.answering(
                "a head of 48 KiB with 400 fields (R7)",
                "HTTP/1.1 200 OK\r\n"
                    + (0..<400).map { "X-Odd-\($0): \(String(repeating: "o", count: 108))\r\n" }.joined() + "\r\n"
            ),
            Behaviour.answering(
                "lines that end with LF alone",
                "HTTP/1.1 200 Connection established\nVia: 1.1 odd\n\n"
            ),
            Behaviour.demanding(
                "407 with Connection: close",
                connections: 2,
                "HTTP/1.1 407 No\r\n\(challenge)Connection: close\r\nContent-Length: 0\r\n\r\n"
            ),
            Behaviour.demanding(
                "HTTP/1.0 407 with a body until the end of the connection",
                connections: 2,
                "HTTP/1.0 407 No\r\n\(challenge)\r\n<html>no entry</html>"
            ),
            Behaviour.demanding(
                "407 with a body in chunks (R9)",
                "HTTP/1.1 407 No\r\n\(challenge)Transfer-Encoding: chunked\r\n\r\n"
                    + "6;x=y\r\n<html>\r\n10\r\n0123456789abcdef\r\n0\r\nX-Trailer: 1\r\n\r\n"
            ),
            Behaviour.demanding(
                "407 with a body of 20 kB (R9)",
                "HTTP/1.1 407 No\r\n\(challenge)Content-Length: 20000\r\n\r\n"
                    + String(repeating: "no\r\n\r\n..", count: 2_500)
            ),
            Behaviour.demanding(
                "407 with a body of 200 kB, which the client does not read to its end (R9)",
                connections: 2,
                "HTTP/1.1 407 No\r\n\(challenge)Content-Length: 200000\r\n\r\n"
            ),
            Behaviour("the server's 101 and the first frames behind it in one segment (R6)") { connection in
                guard let request = try connection.request() else { return }
                try connection.tunnel(request) { server in
                    try connection.answer(ScriptedProxy.established)
                    try server.send(try connection.socket.receive())
                    var answer: [UInt8] = []
                    while answer.firstRange(of: "\r\n\r\n".utf8).map({ $0.upperBound == answer.endIndex }) ?? true {
                        answer += try server.receive(exactly: 1)
                    }
                    try connection.socket.send(answer)
                }
            },
        ]

        @Test("A tunnel opens through a proxy that answers with this:", arguments: through)
        func opens(_ behaviour: Behaviour) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy(behaviour.script)
                try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", proxy.url, "--proxy-user", "\(Self.user):\(Self.password)", "--max-retries", "0"]
                )
                #expect(proxy.accepted == behaviour.connections)
                #expect(proxy.requests.all.count == behaviour.requests)
            }
        }

        /// A proxy's script that opens no tunnel, the exit code, and texts of the error line.
        struct Refusal: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let code: Int32
            let says: [String]
            let scheme: String
            let script: @Sendable (Connection) throws -> Void

            init(
                _ name: String,
                _ code: Int32,
                _ says: [String],
                scheme: String = "ws",
                _ script: @escaping @Sendable (Connection) throws -> Void
            ) {
                (testDescription, self.code, self.says, self.scheme) = (name, code, says, scheme)
                self.script = script
            }

            /// Answers the first request with this text, and closes.
            static func answering(
                _ name: String,
                _ code: Int32,
                _ says: [String],
                scheme: String = "ws",
                _ answer: String
            ) -> Refusal {
                Refusal(name, code, says, scheme: scheme) { connection in
                    guard try connection.request() != nil else { return }
                    try connection.answer(answer)
                    try connection.socket.finishSending()
                    _ = try connection.socket.drain()
                }
            }
        }

        static let portal = "<html><head><title>Welcome to the hotel</title></head><body>Log in</body></html>"

        static let refusals = [
            Refusal.answering(
                "a head of more than 64 KiB (R7)",
                76,
                ["proxy: ", "too large"],
                "HTTP/1.1 200 OK\r\n"
                    + String(repeating: "X-Odd: \(String(repeating: "o", count: 1_000))\r\n", count: 66)
                    + "\r\n"
            ),
            Refusal.answering(
                "more than 512 fields (R7)",
                76,
                ["proxy: ", "too many fields"],
                "HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 513) + "\r\n"
            ),
            Refusal.answering(
                "too many interim answers (R7)",
                69,
                ["proxy: ", "interim"],
                String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 40) + ScriptedProxy.established
            ),
            Refusal("a FIN at once (R15)", 69, ["proxy: ", "closed the connection"]) { _ in },
            Refusal("a reset at once (R15)", 69, ["proxy"]) { $0.socket.abort() },
            Refusal("a FIN in the middle of the head", 69, ["proxy: ", "middle"]) { connection in
                _ = try connection.request()
                try connection.answer("HTTP/1.1 200 Conn")
            },
            Refusal("200 and a FIN (R15)", 69, ["upgrade: ", "the proxy opened the tunnel"]) {
                connection in
                _ = try connection.request()
                try connection.answer(ScriptedProxy.established)
            },
            Refusal.answering(
                "302 to a captive portal, which is not followed (R1, R14)",
                69,
                ["proxy: ", "302", "http://portal.example/login", "browser"],
                "HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\n\r\n"
            ),
            Refusal.answering(
                "511 of a captive portal (R14)",
                69,
                ["proxy: ", "511", "Welcome to the hotel"],
                "HTTP/1.1 511 Network Authentication Required\r\nContent-Type: text/html\r\n"
                    + "Content-Length: \(portal.utf8.count)\r\n\r\n\(portal)"
            ),
            Refusal.answering(
                "200 and a login page (R14)",
                76,
                ["<html>"],
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: \(portal.utf8.count)\r\n\r\n\(portal)"
            ),
            Refusal.answering(
                "200 and a login page instead of TLS (R14)",
                69,
                ["TLS: "],
                scheme: "wss",
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: \(portal.utf8.count)\r\n\r\n\(portal)"
            ),
            Refusal.answering(
                "403 with HTTP/1.1 200 in its body (R13)",
                77,
                ["proxy: ", "403", "443"],
                "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 17\r\n\r\nHTTP/1.1 200 OK\r\n"
            ),
            Refusal.answering(
                "502 (R15)",
                69,
                ["proxy: ", "502", "cannot reach"],
                "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
            ),
            Refusal.answering("an SSH server's banner (R14)", 76, ["proxy: ", "SSH-2.0"], "SSH-2.0-OpenSSH_9.2p1\r\n"),
            Refusal.answering(
                "407 without a challenge",
                77,
                ["proxy: ", "407"],
                "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
            ),
            Refusal.answering(
                "407 with an unknown scheme (R9)",
                77,
                ["proxy: ", "407", "Oddity"],
                "HTTP/1.1 407 No\r\nProxy-Authenticate: Oddity realm=\"a, b\"\r\nContent-Length: 0\r\n\r\n"
            ),
            Refusal.answering(
                "a reason with control characters, which the line escapes",
                69,
                ["proxy: ", "500"],
                "HTTP/1.1 500 \u{9B}31mred\u{202E}\r\nContent-Length: 0\r\n\r\n"
            ),
        ]

        @Test("No tunnel opens, and a line has the reason, if a proxy answers with this:", arguments: refusals)
        func refuses(_ refusal: Refusal) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy(refusal.script)
                let line = try await scenario.expectEnd(
                    refusal.code,
                    from: "\(refusal.scheme)://127.0.0.1:\(server.port)",
                    [
                        "--proxy", proxy.url, "--proxy-user", "\(Self.user):\(Self.password)", "--max-retries", "0",
                    ]
                )
                for words in refusal.says + ["through proxy \(proxy.url)"] { #expect(line.contains(words), "\(line)") }
                #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(line)")
                #expect(!line.contains(Self.password) && !line.contains(basic(Self.user, Self.password)))
            }
        }

        /// The shortest valid CHALLENGE message of NTLM.
        static let ntlmChallenge = Data(
            Array("NTLMSSP".utf8) + [0, 2, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 0x01, 0x02, 0x88, 0x00] + [
                1, 2, 3, 4, 5, 6, 7, 8,
            ]
                + [0, 0, 0, 0, 0, 0, 0, 0] + [4, 0, 4, 0, 48, 0, 0, 0] + [0, 0, 0, 0]
        ).base64EncodedString()

        static let digestChallenge = "Digest realm=\"odd\", qop=\"auth\", stale=true, nonce="

        @Test(
            "A proxy that always answers 407 gets at most four requests (R10)",
            arguments: ["Basic", "Digest", "NTLM", "all of them"],
            [true, false]
        )
        func forever(_ scheme: String, _ isKept: Bool) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy { connection in
                    while try connection.request() != nil {
                        let challenges = [
                            ("Basic", "Basic realm=\"odd\""),
                            ("Digest", Self.digestChallenge + "\"\(UInt64.random(in: 0...UInt64.max))\""),
                            ("NTLM", "NTLM \(Self.ntlmChallenge)"),
                        ].filter { scheme == "all of them" || $0.0 == scheme }
                        let fields = challenges.map { "Proxy-Authenticate: \($0.1)\r\n" }.joined()
                        let end = isKept ? "" : "Connection: close\r\n"
                        try connection.answer("HTTP/1.1 407 No\r\n\(fields)\(end)Content-Length: 2\r\n\r\nno")
                        if !isKept { return }
                    }
                }
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:9"],
                    options: [
                        "--proxy", proxy.url, "--proxy-user", "\(Self.user):\(Self.password)", "--max-retries", "1",
                    ]
                )
                let status = try await client.process.exitStatus()
                let isBound = !isKept && (scheme == "NTLM" || scheme == "all of them")
                #expect(
                    isBound ? [.exited(69), .exited(77)].contains(status) : status == .exited(77),
                    "\(client.process)"
                )
                let requests = proxy.requests.all
                #expect((2...4).contains(requests.count), "\(requests.count) requests")
                #expect(proxy.accepted == (isKept ? 1 : requests.count))
            }
        }

        @Test("Bytes in one segment with the proxy's 200 reach the next hop (R6)")
        func bytesBehindTheHead() async throws {
            try await Scenario.run { scenario in
                let proxy = try ScriptedProxy { connection in
                    guard let request = try connection.request() else { return }
                    try connection.tunnel(request, answer: ScriptedProxy.established + "SSH-2.0-OpenSSH_9.2p1\r\n")
                }
                let silent = try TCPService { _ = try $0.drain() }
                let line = try await scenario.expectEnd(
                    76,
                    from: "ws://127.0.0.1:\(silent.port)",
                    ["--proxy", proxy.url, "--max-retries", "0"]
                )
                expect(line, says: "upgrade: ", "SSH-2.0-OpenSSH")
            }
        }

        @Test("A server's 407 is not answered, and the server never sees the proxy's password (R11)")
        func serversOwn407() async throws {
            try await Scenario.run { scenario in
                let heads = Mailbox<String>()
                let origin = try TCPService { socket in
                    heads.put(String(decoding: try socket.receive(), as: UTF8.self))
                    try socket.send("HTTP/1.1 407 No\r\n\(Self.challenge)Content-Length: 0\r\n\r\n")
                    _ = try socket.drain()
                }
                let proxy = try ScriptedProxy { connection in
                    while let request = try connection.request() {
                        if request.field("Proxy-Authorization") != nil { return try connection.tunnel(request) }
                        try connection.challenge("Basic realm=\"odd\"")
                    }
                }
                let line = try await scenario.expectEnd(
                    77,
                    from: "ws://127.0.0.1:\(origin.port)",
                    ["--proxy", proxy.url, "--proxy-user", "\(Self.user):\(Self.password)"]
                )
                expect(line, says: "upgrade: ", "407")
                #expect(heads.all.count == 1 && heads.all[0].hasPrefix("GET "), "\(heads.all)")
                #expect(!heads.all.contains { $0.lowercased().contains("authorization") }, "\(heads.all)")
            }
        }

        @Test(
            "A proxy with an IPv6 literal in its URL works, and error lines keep the brackets (R17)",
            .enabled(if: TCPService.hasIPv6 || TestRun.isCI, "no ::1 on this machine")
        )
        func ipv6() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy.open(address: "::1")
                #expect(proxy.url.hasPrefix("http://[::1]:"))
                try await scenario.expectPage(from: server.url, ["--proxy", proxy.url])
                #expect(proxy.requests.all.map(\.target) == ["127.0.0.1:\(server.port)"])
                let closed = try ScriptedProxy(address: "::1") { connection in
                    if try connection.request() != nil { try connection.answer("HTTP/1.1 403 Forbidden\r\n\r\n") }
                }
                let line = try await scenario.expectEnd(77, from: server.url, ["--proxy", closed.url])
                expect(line, says: "proxy \(closed.url): ", "403")
            }
        }

        @Test("A server name reaches the proxy unresolved (R19)")
        func nameStaysAName() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy.open()
                try await scenario.expectPage(
                    from: "ws://tunnel.culvert.test:\(server.port)",
                    ["--proxy", proxy.url, "--proxy-header", "X-Office: 7", "--user-agent", "odd/1"]
                )
                let request = try await proxy.requests.next("the request")
                #expect(request.lines[0] == "CONNECT tunnel.culvert.test:\(server.port) HTTP/1.1")
                #expect(request.field("Host") == "tunnel.culvert.test:\(server.port)")
                #expect(request.field("X-Office") == "7" && request.field("User-Agent") == "odd/1")
            }
        }

        @Test(
            "Tinyproxy with ports 443 and 563 only answers 403, and the line has a remedy",
            .needs(.tinyproxy)
        )
        func ports() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Tinyproxy.start(in: scenario, connectPorts: [443, 563])
                let line = try await scenario.expectEnd(77, from: server.url, ["--proxy", proxy.url])
                expect(line, says: "proxy \(proxy.url): proxy: ", "403", "port 443", "127.0.0.1:\(server.port)")
                #expect(proxy.established.isEmpty)
            }
        }

        @Test("Credentials that worked are sent with the next CONNECT, and a 407 to them is not a refusal")
        func preemptiveCredentials() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let answers = Mailbox<TCPSocket>()
                let proxy = try ScriptedProxy { connection in
                    while let request = try connection.request() {
                        let isAnswer = request.field("Proxy-Authorization") == basic(Self.user, Self.password)
                        if isAnswer { answers.put(connection.socket) }
                        // The proxy challenges the second dial again.
                        if isAnswer, answers.all.count != 2 { return try connection.tunnel(request) }
                        try connection.challenge("Basic realm=\"odd\"")
                    }
                }
                let echo = try TCPService.echo()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--proxy", proxy.url, "--proxy-user", "\(Self.user):\(Self.password)"]
                )
                let port = try await client.tunnel(to: echo.port)
                try await expectEcho(through: port)
                for socket in answers.all { socket.cut() }
                _ = try await client.process.logLine { $0.contains("session resumed") }
                try await expectEcho(through: port)
                let hasCredentials = proxy.requests.all.map { $0.field("Proxy-Authorization") != nil }
                #expect(hasCredentials == [false, true, true, true], "\(hasCredentials)")
            }
        }
    }
}
