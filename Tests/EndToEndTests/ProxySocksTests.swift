import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// SOCKS 5, with and without a password.
    @Suite(.serialized)
    struct ProxySocksTests {
        static let password = "so:cks@Secret/7"

        @Test(
            "A tunnel through microsocks with a password works, and the proxy gets the server's name",
            .needs(.microsocks),
            arguments: ["socks5", "socks5h"]
        )
        func microsocks(_ scheme: String) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Microsocks.start(in: scenario, user: "sam", password: Self.password)
                let client = try await scenario.expectPage(
                    from: "ws://localhost:\(server.port)",
                    [
                        "--proxy", "\(scheme)://127.0.0.1:\(proxy.port)", "--proxy-user", "sam:\(Self.password)",
                        "--log-level", "trace",
                    ]
                )
                #expect(proxy.tunnels(to: "localhost:\(server.port)").count == 1, "\(proxy.process)")
                #expect(!client.process.errors.text.contains(Self.password))
            }
        }

        @Test("A percent-encoded password in the proxy's URL is decoded", .needs(.microsocks))
        func passwordInURL() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Microsocks.start(in: scenario, user: "sam", password: Self.password)
                let encoded = "so%3Acks%40Secret%2F7"
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", "socks5://sam:\(encoded)@127.0.0.1:\(proxy.port)", "--log-level", "trace"]
                )
                let log = client.process.errors.text
                #expect(!log.contains(Self.password) && !log.contains(encoded))
            }
        }

        @Test("A wrong password is tried once, and ends the client with 77", .needs(.microsocks))
        func wrongPassword() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Microsocks.start(in: scenario, user: "sam", password: Self.password)
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", "socks5://127.0.0.1:\(proxy.port)", "--proxy-user", "sam:not-the-password"]
                )
                expect(line, says: "proxy socks5://127.0.0.1:\(proxy.port): proxy: ", "refused the credentials", "lock")
                #expect(!line.contains("not-the-password"))
                #expect(proxy.tunnels(to: "127.0.0.1:\(server.port)").isEmpty)
            }
        }

        @Test("A proxy that requires a password ends a client without one with 77", .needs(.microsocks))
        func noPassword() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Microsocks.start(in: scenario, user: "sam", password: Self.password)
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", "socks5://127.0.0.1:\(proxy.port)"]
                )
                expect(line, says: "wants credentials", "--proxy-user")
            }
        }

        @Test(
            "A server name reaches the proxy unresolved (R19)",
            arguments: ["socks5", "socks5h"],
            [nil, ["sam", password]]
        )
        func nameStaysAName(_ scheme: String, _ credentials: [String]?) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try SocksServer(credentials: credentials)
                let user = credentials.map { ["--proxy-user", $0.joined(separator: ":")] } ?? []
                try await scenario.expectPage(
                    from: "ws://tunnel.culvert.test:\(server.port)",
                    ["--proxy", "\(scheme)://127.0.0.1:\(proxy.port)"] + user
                )
                let request = try await proxy.requests.next("the request")
                #expect(request.addressType == 3 && request.name == "tunnel.culvert.test", "\(request)")
                #expect(request.port == server.port)
                #expect(request.credentials == credentials ?? [])
                #expect(request.methods.contains(0), "the method without a password is missing: \(request)")
            }
        }

        @Test("A SOCKS proxy that is given as http:// causes a line that names socks5://", .needs(.microsocks))
        func wrongScheme() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await Microsocks.start(in: scenario, user: "sam", password: Self.password)
                let line = try await scenario.expectEnd(
                    76,
                    from: server.url,
                    ["--proxy", "http://127.0.0.1:\(proxy.port)", "--max-retries", "0"]
                )
                expect(line, says: "proxy: ", "socks5://")
            }
        }
    }
}
