import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The choice among several proxies, and the sources of proxies and passwords.
    @Suite(.serialized)
    struct ProxyOrderTests {
        static let (user, password) = ("otto", "order-Secret-9")

        /// Starts a proxy that accepts one user's Basic credentials.
        static func demanding(_ user: String = user, _ password: String = password) throws -> ScriptedProxy {
            try ScriptedProxy { connection in
                while let request = try connection.request() {
                    if request.field("Proxy-Authorization") == basic(user, password) {
                        return try connection.tunnel(request)
                    }
                    try connection.challenge("Basic realm=\"order\"")
                }
            }
        }

        /// The URL of a port on which no proxy listens.
        static func dead() throws -> String { "http://127.0.0.1:\(try FreePorts.next())" }

        @Test("The first reachable proxy is used, and the log names the unreachable one")
        func firstAlive() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let dead = try Self.dead()
                let proxy = try ScriptedProxy.open()
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", dead, "--proxy", proxy.url, "--max-retries", "0"]
                )
                #expect(proxy.requests.all.count == 1)
                let line = try #require(client.process.errors.lines.first { $0.contains("proxy \(dead)") })
                expect(line, says: "warning", "refused the connection")
            }
        }

        @Test("The value none after other proxies permits a direct connection")
        func noneIsDirect() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let dead = try Self.dead()
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", dead, "--proxy", "none", "--max-retries", "0"]
                )
                #expect(client.process.errors.text.contains("proxy \(dead)"), "\(client.process)")
            }
        }

        @Test("After a lost carrier the client first tries the proxy that worked last")
        func lastProxyFirst() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let port = try FreePorts.next()
                let tunnels = Mailbox<TCPSocket>()
                let proxy = try ScriptedProxy { connection in
                    guard let request = try connection.request() else { return }
                    tunnels.put(connection.socket)
                    try connection.tunnel(request)
                }
                let echo = try TCPService.echo()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--proxy", "http://127.0.0.1:\(port)", "--proxy", proxy.url]
                )
                _ = try await client.tunnel(to: echo.port)
                let restarted = try TCPService(port: port) { _ = try $0.drain() }
                for socket in tunnels.all { socket.cut() }
                _ = try await client.process.logLine { $0.contains("session resumed") }
                #expect(proxy.requests.all.count >= 2)
                #expect(restarted.accepted == 0)
            }
        }

        @Test("A proxy that refused the password is not tried again while the next one is (R10)")
        func refusedOnce() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let strict = try Self.demanding("somebody", "else")
                let tries = Mailbox<Bool>()
                let busy = try ScriptedProxy { connection in
                    guard let request = try connection.request() else { return }
                    tries.put(true)
                    guard tries.all.count > 2 else {
                        return try connection.answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                    }
                    try connection.tunnel(request)
                }
                let client = try await scenario.expectPage(
                    from: server.url,
                    [
                        "--proxy", strict.url, "--proxy", busy.url, "--proxy-user", "\(Self.user):\(Self.password)",
                        "--log-level", "trace",
                    ]
                )
                #expect(busy.requests.all.count == 3)
                #expect(strict.requests.all.count == 2, "one challenge and one answer")
                let log = client.process.errors.text
                #expect(log.contains("proxy \(strict.url)") && log.contains("503"), "\(log)")
                #expect(!log.contains(Self.password) && !log.contains(basic(Self.user, Self.password)))
            }
        }

        @Test("A client whose password all proxies refuse ends with 77")
        func allRefuse() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxies = try [Self.demanding("somebody", "else"), Self.demanding("yet", "another")]
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    proxies.flatMap { ["--proxy", $0.url] } + ["--proxy-user", "\(Self.user):\(Self.password)"]
                )
                expect(line, says: "407")
                // The second proxy gets a request without the password that the first one refused.
                #expect(proxies.map { $0.requests.all.count } == [2, 1])
            }
        }

        @Test("all_proxy applies to all servers, https_proxy to wss only, and --proxy overrides both", .needs(.openssl))
        func environment() async throws {
            try await Scenario.run { scenario in
                let certificate = try await Certificate.make(in: scenario)
                let plain = try await scenario.server()
                let secure = try await scenario.server(
                    options: ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key]
                )
                let dead = try Self.dead()
                let trust = ["--ca", certificate.authority, "--max-retries", "0"]
                let rows: [(url: String, options: [String], environment: [String], isProxied: Bool)] = [
                    (plain.url, [], ["all_proxy"], true),
                    (plain.url, [], ["ALL_PROXY"], true),
                    (plain.url, [], ["http_proxy", "https_proxy=\(dead)"], true),
                    (plain.url, [], ["https_proxy", "HTTPS_PROXY"], false),
                    (plain.url, [], ["HTTP_PROXY=\(dead)"], false),
                    (secure.url, [], ["https_proxy", "http_proxy=\(dead)", "all_proxy=\(dead)"], true),
                    (secure.url, [], ["HTTPS_PROXY", "no_proxy=example.com,10.0.0.0/8"], true),
                    (secure.url, [], ["https_proxy=\(dead)", "no_proxy=127.0.0.1:\(secure.port)"], false),
                    ("ws://localhost:\(plain.port)", [], ["all_proxy=\(dead)", "NO_PROXY=.localhost"], false),
                    (plain.url, ["--proxy", "none"], ["all_proxy=\(dead)"], false),
                ]
                for row in rows {
                    let proxy = try ScriptedProxy.open()
                    var environment: [String: String] = [:]
                    for variable in row.environment {
                        let parts = variable.split(separator: "=", maxSplits: 1).map(String.init)
                        environment[parts[0]] = parts.count > 1 ? parts[1] : proxy.url
                    }
                    let client = try await scenario.expectPage(
                        from: row.url,
                        trust + row.options,
                        environment: environment
                    )
                    #expect(proxy.requests.all.count == (row.isProxied ? 1 : 0), "\(row) \(client.process)")
                    await client.process.end()
                }
            }
        }

        @Test("--proxy applies to loopback too, and NO_PROXY does not affect it")
        func namedForLoopback() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy.open()
                try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", proxy.url],
                    environment: ["NO_PROXY": "*", "no_proxy": "*"]
                )
                #expect(proxy.requests.all.count == 1)
            }
        }

        @Test("A malformed variable ends the client with 78, and the line has its name without its value")
        func malformed() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let line = try await scenario.expectEnd(
                    78,
                    from: server.url,
                    [],
                    environment: ["http_proxy": "http://\(Self.user):\(Self.password)@:x/"]
                )
                expect(line, says: "http_proxy")
                #expect(!line.contains(Self.password))
            }
        }

        @Test("The password comes from the proxy's URL, --proxy-user, a file, the environment, or netrc with --netrc")
        func passwords() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let file = "\(scenario.directory)/password"
                try scenario.write(Self.password + "\n", to: file)
                let netrc = "\(scenario.directory)/netrc"
                try scenario.write("machine 127.0.0.1\nlogin \(Self.user)\npassword \(Self.password)\n", to: netrc)
                try scenario.write(
                    "machine elsewhere.test login x password y\ndefault login \(Self.user) password \(Self.password)\n",
                    to: "\(scenario.directory)/.netrc"
                )
                let named = ["NETRC": netrc]
                let rows: [(options: [String], environment: [String: String])] = [
                    (["--proxy-user", "\(Self.user):\(Self.password)"], [:]),
                    (["--proxy-user", Self.user, "--proxy-password-file", file], [:]),
                    (["--proxy-user", Self.user], ["CULVERT_PROXY_PASSWORD": Self.password]),
                    (["--netrc"], named), (["--netrc", "--proxy-user", Self.user], named), (["--netrc"], [:]),
                ]
                for row in rows {
                    let proxy = try Self.demanding()
                    let client = try await scenario.expectPage(
                        from: server.url,
                        ["--proxy", proxy.url, "--log-level", "trace"] + row.options,
                        environment: row.environment
                    )
                    let log = client.process.errors.text
                    #expect(!log.contains(Self.password) && !log.contains(basic(Self.user, Self.password)))
                    await client.process.end()
                }
                let proxy = try Self.demanding()
                let withUser = proxy.url.replacing("//", with: "//\(Self.user):\(Self.password)@")
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--log-level", "trace"],
                    environment: ["http_proxy": withUser]
                )
                #expect(!client.process.errors.text.contains(Self.password))
                let strict = try Self.demanding()
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", strict.url],
                    environment: named
                )
                expect(line, says: "wants credentials")
                #expect(strict.requests.all.count == 1, "netrc is read only with --netrc")
            }
        }
    }
}
