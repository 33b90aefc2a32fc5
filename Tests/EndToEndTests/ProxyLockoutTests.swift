import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A wrong password is tried once, because directories lock an account after a few failures.
    @Suite(.serialized)
    struct ProxyLockoutTests {
        /// Starts a proxy that counts the requests with a password, and answers each with a closure.
        private static func proxy(
            _ answer: @escaping @Sendable (ScriptedProxy.Connection) throws -> Void
        ) throws -> (proxy: ScriptedProxy, tries: @Sendable () -> Int) {
            let proxy = try ScriptedProxy { connection in
                while let request = try connection.request() {
                    guard request.field("Proxy-Authorization") != nil else {
                        try connection.answer(challenge)
                        continue
                    }
                    return try answer(connection)
                }
            }
            let tries: @Sendable () -> Int = {
                proxy.requests.all.count { $0.field("Proxy-Authorization") != nil }
            }
            return (proxy, tries)
        }

        private static let challenge =
            "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"

        @Test("R10 a wrong password is tried once for all servers behind one proxy")
        func severalServers() async throws {
            try await Scenario.run { scenario in
                let (proxy, tries) = try Self.proxy { try $0.answer(Self.challenge) }
                let line = try await scenario.expectEnd(
                    77,
                    from: "ws://a.test:1",
                    ["ws://b.test:1", "ws://c.test:1", "--proxy", proxy.url, "--proxy-user", "ann:wrong"]
                )
                expect(line, says: "refused the credentials")
                #expect(tries() == 1)
            }
        }

        @Test("R10 a password that one proxy refused is not tried at another")
        func severalProxies() async throws {
            try await Scenario.run { scenario in
                let (first, triesAtFirst) = try Self.proxy { try $0.answer(Self.challenge) }
                let (second, triesAtSecond) = try Self.proxy { try $0.answer(Self.challenge) }
                _ = try await scenario.expectEnd(
                    77,
                    from: "ws://a.test:1",
                    ["--proxy", first.url, "--proxy", second.url, "--proxy-user", "ann:wrong"]
                )
                #expect(triesAtFirst() == 1)
                #expect(triesAtSecond() == 0)
            }
        }

        @Test("R10 a proxy that closes the connection after a password is tried at most twice")
        func dropped() async throws {
            try await Scenario.run { scenario in
                let (proxy, tries) = try Self.proxy { $0.socket.close() }
                let line = try await scenario.expectEnd(
                    77,
                    from: "ws://a.test:1",
                    ["--proxy", proxy.url, "--proxy-user", "ann:wrong"]
                )
                expect(line, says: "closed the connection without an answer", "over wrong ones")
                // A kept connection may have ended by chance, so the client may try once more on another.
                #expect((1...2).contains(tries()))
            }
        }

        @Test("R10 a user without a password is a configuration error, and no empty password is sent")
        func noPassword() async throws {
            try await Scenario.run { scenario in
                let (proxy, tries) = try Self.proxy { try $0.answer(Self.challenge) }
                let line = try await scenario.expectEnd(
                    78,
                    from: "ws://a.test:1",
                    ["--proxy", proxy.url, "--proxy-user", "ann"]
                )
                expect(line, says: "no password for the proxy's user ann", "--proxy-password-file")
                #expect(tries() == 0)
            }
        }

        @Test("A proxy that requires credentials only after a session has worked is tried again")
        func askedLater() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let dials = Mailbox<Int>()
                let proxy = try ScriptedProxy { connection in
                    dials.put(1)
                    guard let request = try connection.request() else { return }
                    // The second dial is challenged, as if the proxy's cached login had expired.
                    if dials.all.count == 2 { return try connection.answer(Self.challenge) }
                    try connection.tunnel(request)
                }
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--proxy", proxy.url]
                )
                _ = try await client.tunnel(to: echo.port)
                await server.process.kill()
                let again = try await scenario.server(port: server.port)
                try await expectEcho(through: client.tunnel(to: echo.port, skip: 1))
                #expect(again.port == server.port)
                #expect(dials.all.count > 2)
            }
        }

        @Test("SOCKS gets no password if --proxy-auth does not permit Basic")
        func socksPermission() async throws {
            try await Scenario.run { scenario in
                let seen = Mailbox<[UInt8]>()
                let service = try TCPService { socket in
                    seen.put(try socket.receive())
                    try socket.send([5, 0xFF])
                }
                _ = try await scenario.expectEnd(
                    77,
                    from: "ws://a.test:1",
                    [
                        "--proxy", "socks5://127.0.0.1:\(service.port)", "--proxy-user", "ann:secret", "--proxy-auth",
                        "ntlm",
                    ]
                )
                #expect(try await seen.next("the method selection") == [5, 1, 0])
            }
        }
    }
}
