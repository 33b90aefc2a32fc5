import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Proxies that follow HTTP, bend it, or do not speak it (R5 to R15).
    @Suite(.serialized)
    struct ProxyOddityTests {
        typealias Visit = ScriptedProxy.Visit

        static let (user, password) = ("olga", "odd-Secret-8")

        /// A behaviour of a proxy, and how many connections the client makes until it is through.
        struct Way: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let connections: Int
            let requests: Int
            let script: @Sendable (Visit) throws -> Void

            init(
                _ name: String,
                connections: Int = 1,
                requests: Int = 1,
                _ script: @escaping @Sendable (Visit) throws -> Void
            ) {
                (self.testDescription, self.connections, self.requests) = (name, connections, requests)
                self.script = script
            }

            /// Demands Basic credentials with this answer, and lets through who has them.
            static func demanding(_ name: String, connections: Int = 1, _ answer: String) -> Way {
                Way(name, connections: connections, requests: 2) { visit in
                    while let request = try visit.request() {
                        if request.field("Proxy-Authorization") == basic(user, password) {
                            return try visit.tunnel(request)
                        }
                        try visit.answer(answer)
                        if connections > 1 { return }
                    }
                }
            }

            /// Opens the tunnel with this answer.
            static func answering(_ name: String, _ answer: String) -> Way {
                Way(name) { visit in
                    if let request = try visit.request() { try visit.tunnel(request, answer: answer) }
                }
            }
        }

        static let challenge = "Proxy-Authenticate: Basic realm=\"odd\"\r\n"

        static let through = [
            Way("its head one byte at a time (R7)") { visit in
                guard let request = try visit.request() else { return }
                try visit.tunnel(request) { _ in
                    for byte in "HTTP/1.1 200 OK\r\nVia: 1.1 odd\r\n\r\n".utf8 {
                        try visit.socket.send([byte])
                        Thread.sleep(forTimeInterval: 0.002)
                    }
                }
            },
            Way.answering("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"),
            Way.answering("a status line without a reason", "HTTP/1.1 200\r\n\r\n"),
            Way.answering("200 with Content-Length and no body (R8)", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
            Way.answering("200 with chunks announced (R8)", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Way.answering("another 2xx", "HTTP/1.1 201 Created\r\n\r\n"),
            Way.answering(
                "interim answers before the 200 (R5)",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ScriptedProxy.usual
            ),
            Way.answering(
                "a head of 48 KiB with 400 fields (R7)",
                "HTTP/1.1 200 OK\r\n"
                    + (0..<400).map { "X-Odd-\($0): \(String(repeating: "o", count: 108))\r\n" }.joined() + "\r\n"
            ),
            Way.answering("lines that end with LF alone", "HTTP/1.1 200 Connection established\nVia: 1.1 odd\n\n"),
            Way.demanding(
                "407 with Connection: close between the legs",
                connections: 2,
                "HTTP/1.1 407 No\r\n\(challenge)Connection: close\r\nContent-Length: 0\r\n\r\n"
            ),
            Way.demanding(
                "HTTP/1.0 407, and the connection ends with its page",
                connections: 2,
                "HTTP/1.0 407 No\r\n\(challenge)\r\n<html>no entry</html>"
            ),
            Way.demanding(
                "407 with a body in chunks (R9)",
                "HTTP/1.1 407 No\r\n\(challenge)Transfer-Encoding: chunked\r\n\r\n"
                    + "6;x=y\r\n<html>\r\n10\r\n0123456789abcdef\r\n0\r\nX-Trailer: 1\r\n\r\n"
            ),
            Way.demanding(
                "407 with a page of 20 kB (R9)",
                "HTTP/1.1 407 No\r\n\(challenge)Content-Length: 20000\r\n\r\n"
                    + String(repeating: "no\r\n\r\n..", count: 2_500)
            ),
            Way.demanding(
                "407 with a page of 200 kB, which nobody reads to the end (R9)",
                connections: 2,
                "HTTP/1.1 407 No\r\n\(challenge)Content-Length: 200000\r\n\r\n"
            ),
            Way("the server's 101 and the first frames behind it in one segment (R6)") { visit in
                guard let request = try visit.request() else { return }
                try visit.tunnel(request) { server in
                    try visit.answer(ScriptedProxy.usual)
                    try server.send(try visit.socket.receive())
                    var answer: [UInt8] = []
                    while answer.firstRange(of: "\r\n\r\n".utf8).map({ $0.upperBound == answer.endIndex }) ?? true {
                        answer += try server.receive(exactly: 1)
                    }
                    try visit.socket.send(answer)
                }
            },
        ]

        @Test("A tunnel opens through a proxy that answers with", arguments: through)
        func opens(_ way: Way) async throws {
            try await Scenario.play { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy(way.script)
                try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", proxy.url, "--proxy-user", "\(Self.user):\(Self.password)", "--max-retries", "0"]
                )
                #expect(proxy.accepted == way.connections)
                #expect(proxy.requests.all.count == way.requests)
            }
        }

        /// A behaviour that opens no tunnel: exit code, and what the last line has.
        struct Refusal: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let code: Int32
            let says: [String]
            let scheme: String
            let script: @Sendable (Visit) throws -> Void

            init(
                _ name: String,
                _ code: Int32,
                _ says: [String],
                scheme: String = "ws",
                _ script: @escaping @Sendable (Visit) throws -> Void
            ) {
                (testDescription, self.code, self.says, self.scheme) = (name, code, says, scheme)
                self.script = script
            }

            /// Answers every request so, and closes.
            static func answering(
                _ name: String,
                _ code: Int32,
                _ says: [String],
                scheme: String = "ws",
                _ answer: String
            ) -> Refusal {
                Refusal(name, code, says, scheme: scheme) { visit in
                    guard try visit.request() != nil else { return }
                    try visit.answer(answer)
                    try visit.socket.finishSending()
                    _ = try visit.socket.drain()
                }
            }
        }

        static let portal = "<html><head><title>Welcome to the hotel</title></head><body>Log in</body></html>"

        static let refusals = [
            Refusal.answering(
                "a head past 64 KiB (R7)",
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
                "interim answers without end (R7)",
                69,
                ["proxy: ", "interim"],
                String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 40) + ScriptedProxy.usual
            ),
            Refusal("the end of the connection, at once (R15)", 69, ["proxy: ", "closed the connection"]) { _ in },
            Refusal("a reset, at once (R15)", 69, ["proxy"]) { $0.socket.abort() },
            Refusal("the end of the connection in the middle of its head", 69, ["proxy: ", "middle"]) { visit in
                _ = try visit.request()
                try visit.answer("HTTP/1.1 200 Conn")
            },
            Refusal("200, and the end of the connection (R15)", 69, ["upgrade: ", "the proxy opened the tunnel"]) {
                visit in
                _ = try visit.request()
                try visit.answer(ScriptedProxy.usual)
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
                "200 and a login page in the place of the tunnel (R14)",
                76,
                ["<html>"],
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: \(portal.utf8.count)\r\n\r\n\(portal)"
            ),
            Refusal.answering(
                "200 and a login page in the place of TLS (R14)",
                69,
                ["TLS: "],
                scheme: "wss",
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: \(portal.utf8.count)\r\n\r\n\(portal)"
            ),
            Refusal.answering(
                "403 with HTTP/1.1 200 in its page (R13)",
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
                "407 with a scheme that nobody knows (R9)",
                77,
                ["proxy: ", "407", "Oddity"],
                "HTTP/1.1 407 No\r\nProxy-Authenticate: Oddity realm=\"a, b\"\r\nContent-Length: 0\r\n\r\n"
            ),
            Refusal.answering(
                "control characters in its reason, which are shown escaped",
                69,
                ["proxy: ", "500"],
                "HTTP/1.1 500 \u{9B}31mred\u{202E}\r\nContent-Length: 0\r\n\r\n"
            ),
        ]

        @Test("No tunnel, and a line that says why, where a proxy answers with", arguments: refusals)
        func refuses(_ refusal: Refusal) async throws {
            try await Scenario.play { scenario in
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

        /// NTLM's CHALLENGE message, the shortest there is.
        static let ntlmChallenge = Data(
            Array("NTLMSSP".utf8) + [0, 2, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 0x01, 0x02, 0x88, 0x00] + [
                1, 2, 3, 4, 5, 6, 7, 8,
            ]
                + [0, 0, 0, 0, 0, 0, 0, 0] + [4, 0, 4, 0, 48, 0, 0, 0] + [0, 0, 0, 0]
        ).base64EncodedString()

        static let digestChallenge = "Digest realm=\"odd\", qop=\"auth\", stale=true, nonce="

        @Test(
            "Of a proxy that says 407 for ever at most four things are asked (R10)",
            arguments: ["Basic", "Digest", "NTLM", "all of them"],
            [true, false]
        )
        func forever(_ scheme: String, _ isKept: Bool) async throws {
            try await Scenario.play { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy { visit in
                    while try visit.request() != nil {
                        let challenges = [
                            ("Basic", "Basic realm=\"odd\""),
                            ("Digest", Self.digestChallenge + "\"\(UInt64.random(in: 0...UInt64.max))\""),
                            ("NTLM", "NTLM \(Self.ntlmChallenge)"),
                        ].filter { scheme == "all of them" || $0.0 == scheme }
                        let fields = challenges.map { "Proxy-Authenticate: \($0.1)\r\n" }.joined()
                        let end = isKept ? "" : "Connection: close\r\n"
                        try visit.answer("HTTP/1.1 407 No\r\n\(fields)\(end)Content-Length: 2\r\n\r\nno")
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

        @Test("What comes in one segment with the proxy's 200 is the server's, and is not lost (R6)")
        func bytesBehindTheHead() async throws {
            try await Scenario.play { scenario in
                let proxy = try ScriptedProxy { visit in
                    guard let request = try visit.request() else { return }
                    try visit.tunnel(request, answer: ScriptedProxy.usual + "SSH-2.0-OpenSSH_9.2p1\r\n")
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

        @Test("A 407 of the server itself is not answered, and the server never sees the proxy's password (R11)")
        func serversOwn407() async throws {
            try await Scenario.play { scenario in
                let heads = Mailbox<String>()
                let origin = try TCPService { socket in
                    heads.put(String(decoding: try socket.receive(), as: UTF8.self))
                    try socket.send("HTTP/1.1 407 No\r\n\(Self.challenge)Content-Length: 0\r\n\r\n")
                    _ = try socket.drain()
                }
                let proxy = try ScriptedProxy { visit in
                    while let request = try visit.request() {
                        if request.field("Proxy-Authorization") != nil { return try visit.tunnel(request) }
                        try visit.challenge("Basic realm=\"odd\"")
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
            "A proxy whose URL has an IPv6 literal is dialled, and its lines have the brackets (R17)",
            .enabled(if: TCPService.hasIPv6 || TestRun.isCI, "no ::1 on this machine")
        )
        func ipv6() async throws {
            try await Scenario.play { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy.open(address: "::1")
                #expect(proxy.url.hasPrefix("http://[::1]:"))
                try await scenario.expectPage(from: server.url, ["--proxy", proxy.url])
                #expect(proxy.requests.all.map(\.target) == ["127.0.0.1:\(server.port)"])
                let closed = try ScriptedProxy(address: "::1") { visit in
                    if try visit.request() != nil { try visit.answer("HTTP/1.1 403 Forbidden\r\n\r\n") }
                }
                let line = try await scenario.expectEnd(77, from: server.url, ["--proxy", closed.url])
                expect(line, says: "proxy \(closed.url): ", "403")
            }
        }

        @Test("A name that only the proxy can resolve reaches it as a name (R19)")
        func nameStaysAName() async throws {
            try await Scenario.play { scenario in
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
            "Tinyproxy that lets nothing but 443 and 563 through: 403, and what to do",
            .needs(.tinyproxy)
        )
        func ports() async throws {
            try await Scenario.play { scenario in
                let server = try await scenario.server()
                let proxy = try await Tinyproxy.start(in: scenario, connectPorts: [443, 563])
                let line = try await scenario.expectEnd(77, from: server.url, ["--proxy", proxy.url])
                expect(line, says: "proxy \(proxy.url): proxy: ", "403", "port 443", "127.0.0.1:\(server.port)")
                #expect(proxy.established.isEmpty)
            }
        }

        @Test("Credentials that worked are sent ahead the next time, and a 407 to them is no refusal")
        func sentAhead() async throws {
            try await Scenario.play { scenario in
                let server = try await scenario.server()
                let answers = Mailbox<TCPSocket>()
                let proxy = try ScriptedProxy { visit in
                    while let request = try visit.request() {
                        let isAnswer = request.field("Proxy-Authorization") == basic(Self.user, Self.password)
                        if isAnswer { answers.put(visit.socket) }
                        // The second time it has forgotten the client.
                        if isAnswer, answers.all.count != 2 { return try visit.tunnel(request) }
                        try visit.challenge("Basic realm=\"odd\"")
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
                let ahead = proxy.requests.all.map { $0.field("Proxy-Authorization") != nil }
                #expect(ahead == [false, true, true, true], "\(ahead)")
            }
        }
    }
}
