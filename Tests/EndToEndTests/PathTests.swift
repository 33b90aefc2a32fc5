import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The whole path: visitor, public port, server, front, proxy, client and service in several combinations.
    @Suite(.serialized)
    struct PathTests {
        static let page = "the service behind the proxy says hello"

        /// Credentials with characters that have a meaning in URLs and fields.
        static let user = "alice"
        static let password = "pa:ss@w%rd/1"

        static func curl(_ url: String, in scenario: Scenario) async throws -> String {
            try await scenario.run(.curl, ["--silent", "--show-error", "--max-time", "15", "--noproxy", "*", url])
        }

        @Test("curl as a visitor reads a page through a direct tunnel", .needs(.curl))
        func direct() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let (_, _, port) = try await scenario.tunnel(to: web)
                #expect(try await Self.curl("http://127.0.0.1:\(port)/", in: scenario) == Self.page)
            }
        }

        @Test("Standard output has one line for each tunnel or listener, and nothing else")
        func standardOutput() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let wanted = try FreePorts.next()
                let server = try await scenario.server()
                let client = try scenario.client(server.url, ["\(wanted):localhost:\(web.port)"])
                #expect(try await client.tunnel(to: web.port) == wanted)
                try await expectPage(through: wanted)
                #expect(server.process.output.lines == ["listening ws://127.0.0.1:\(server.port)/tunnel"])
                #expect(
                    client.process.output.lines == ["tunnel tcp://127.0.0.1:\(wanted) -> localhost:\(web.port)"]
                )
            }
        }

        @Test("For port 0 the server chooses one of its allowed ports")
        func serversChoice() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let first = try FreePorts.next()
                let allowed = first...first.addingReportingOverflow(8).partialValue
                let server = try await scenario.server(
                    options: ["--allow-ports", "\(allowed.lowerBound)-\(allowed.upperBound)"]
                )
                let client = try scenario.client(server.url, ["0:localhost:\(web.port)"])
                let port = try await client.tunnel(to: web.port)
                #expect(allowed.contains(port))
                try await expectPage(through: port)
            }
        }

        @Test("Each of several tunnels of one client leads to its own service")
        func severalTunnels() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let services = try ["one", "two", "three"].map { try TCPService.web(page: $0) }
                let client = try scenario.client(server.url, services.map { "0:127.0.0.1:\($0.port)" })
                for (service, page) in zip(services, ["one", "two", "three"]) {
                    try await expectPage(page, through: client.tunnel(to: service.port))
                }
            }
        }

        @Test(
            "A tunnel through Squid with Basic works, and Squid's log shows it",
            .needs(.squid, .squidBasic, .openssl)
        )
        func squid() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let server = try await scenario.server()
                let squid = try await Squid.start(in: scenario, user: Self.user, password: Self.password)
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: ["--proxy", squid.url, "--proxy-user", "\(Self.user):\(Self.password)"]
                )
                try await expectPage(through: client.tunnel(to: web.port))
                await client.process.end()
                let line = try await eventually("Squid logs the tunnel") {
                    squid.connects(to: server.port).first { $0.contains("TCP_TUNNEL/200") }
                }
                #expect(line.hasSuffix(Self.user), "Squid logs the user")
                #expect(!client.process.errors.text.contains(Self.password))
            }
        }

        @Test(
            "The proxy comes from the environment, and its password from a file",
            .needs(.squid, .squidBasic, .openssl)
        )
        func environment() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let server = try await scenario.server()
                let squid = try await Squid.start(in: scenario, user: Self.user, password: Self.password)
                let file = "\(scenario.directory)/proxy-password"
                try scenario.write(Self.password + "\n", to: file)
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: ["--proxy-user", Self.user, "--proxy-password-file", file],
                    environment: ["http_proxy": squid.url]
                )
                try await expectPage(through: client.tunnel(to: web.port))
                await client.process.end()
                try await eventually("Squid logs the tunnel") { !squid.connects(to: server.port).isEmpty }
            }
        }

        @Test("A host in NO_PROXY is dialled directly")
        func noProxy() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(web.port)"],
                    environment: ["http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.0/8"]
                )
                try await expectPage(through: client.tunnel(to: web.port))
            }
        }

        @Test("A tunnel through Tinyproxy with Basic works, and Tinyproxy's log shows it", .needs(.tinyproxy))
        func tinyproxy() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let server = try await scenario.server()
                let proxy = try await Tinyproxy.start(
                    in: scenario,
                    user: "tina",
                    password: "tiny6Secret",
                    connectPorts: [server.port]
                )
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: ["--proxy", proxy.url, "--proxy-user", "tina:tiny6Secret"]
                )
                try await expectPage(through: client.tunnel(to: web.port))
                #expect(!proxy.connects(to: server.port).isEmpty)
                #expect(!proxy.established.isEmpty)
            }
        }

        @Test("A proxy that forbids the port ends the client with 77, and the line has its 403", .needs(.tinyproxy))
        func forbiddenPort() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Tinyproxy.start(in: scenario, connectPorts: [443])
                let client = try scenario.client(server.url, ["0:127.0.0.1:9"], options: ["--proxy", proxy.url])
                #expect(try await client.process.exitStatus() == .exited(77))
                let log = client.process.errors.text
                #expect(log.contains("403") && log.contains(proxy.url), "\(log)")
            }
        }

        @Test(
            "A wrong proxy password ends the client with 77, and the line names the proxy, 407 and a remedy",
            .needs(.squid, .squidBasic, .openssl)
        )
        func wrongProxyPassword() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(in: scenario, user: Self.user, password: Self.password)
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:9"],
                    options: ["--proxy", squid.url, "--proxy-user", "\(Self.user):not-the-password"]
                )
                #expect(try await client.process.exitStatus() == .exited(77))
                let line = try #require(client.process.errors.lines.last { $0.contains("407") })
                #expect(line.contains("proxy \(squid.url)"), "\(line)")
                #expect(line.contains("--proxy-user") || line.contains("password"), "a remedy is missing: \(line)")
                #expect(!client.process.errors.text.contains("not-the-password"))
                #expect(client.process.output.lines.isEmpty)
            }
        }

        @Test("A proxy that requires credentials ends a client without them with 77", .needs(.tinyproxy))
        func noProxyPassword() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Tinyproxy.start(in: scenario, user: "tina", password: "tiny6Secret")
                let client = try scenario.client(server.url, ["0:127.0.0.1:9"], options: ["--proxy", proxy.url])
                #expect(try await client.process.exitStatus() == .exited(77))
                #expect(client.process.errors.text.contains("407"), "\(client.process)")
            }
        }

        @Test(
            "Fixtures/nginx/culvert.conf works as it is, with TLS",
            .needs(.nginx, .openssl)
        )
        func nginx() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let server = try await scenario.server()
                let nginx = try await Nginx.front(of: server.port, in: scenario)
                let client = try scenario.client(
                    nginx.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: ["--ca", nginx.authority]
                )
                try await expectPage(through: client.tunnel(to: web.port))
                await client.process.end()
                try await eventually("nginx logs the WebSocket") { !nginx.upgrades.isEmpty }
            }
        }

        @Test("A16 A17 a certificate of an unknown CA is refused, and the line names --ca", .needs(.nginx, .openssl))
        func unknownAuthority() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let nginx = try await Nginx.front(of: server.port, in: scenario)
                let client = try scenario.client(nginx.url, ["0:127.0.0.1:9"], options: ["--max-retries", "0"])
                let status = try await client.process.exitStatus()
                #expect(status != .exited(0))
                let log = client.process.errors.text
                #expect(log.contains("TLS") && log.contains("--ca"), "\(log)")
                #expect(nginx.upgrades.isEmpty)
            }
        }

        @Test(
            "A tunnel through Squid and nginx works, and both logs show it",
            .needs(.squid, .squidBasic, .nginx, .openssl, .curl)
        )
        func squidAndNginx() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let server = try await scenario.server()
                let nginx = try await Nginx.front(of: server.port, in: scenario)
                let squid = try await Squid.start(in: scenario, user: Self.user, password: Self.password)
                let client = try scenario.client(
                    nginx.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: [
                        "--ca", nginx.authority, "--proxy", squid.url, "--proxy-user", "\(Self.user):\(Self.password)",
                    ]
                )
                let port = try await client.tunnel(to: web.port)
                #expect(try await Self.curl("http://127.0.0.1:\(port)/", in: scenario) == Self.page)
                await client.process.end()
                try await eventually("nginx logs the WebSocket") { !nginx.upgrades.isEmpty }
                try await eventually("Squid logs the tunnel") {
                    squid.connects(to: nginx.port).contains { $0.contains("TCP_TUNNEL/200") }
                }
            }
        }
    }
}

/// Requests the page of a web service through a public port, and checks it.
func expectPage(_ page: String = EndToEnd.PathTests.page, through port: UInt16) async throws {
    let answer = try await onThread {
        let visitor = try TCPSocket(port: port)
        try visitor.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return String(decoding: try visitor.receiveToEnd(), as: UTF8.self)
    }
    #expect(answer.hasSuffix("\r\n\r\n" + page), "\(answer)")
}
