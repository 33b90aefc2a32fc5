import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Digest and NTLM with real proxies. A wrong password is tried once, because a second try could lock the account
    /// (R9, R10, R12).
    @Suite(.serialized)
    struct ProxyAuthenticationTests {
        static let password = "pa:ss@w%rd/1"

        @Test(
            "A tunnel through Squid with Digest needs one challenge and one answer",
            .needs(.squid, .squidDigest, .openssl)
        )
        func digest() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(
                    in: scenario,
                    offering: [.digest(user: "dora", password: Self.password)]
                )
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", squid.url, "--proxy-user", "dora:\(Self.password)", "--log-level", "trace"]
                )
                await client.process.end()
                try await eventually("Squid logs the tunnel") { !squid.tunnels(to: server.port).isEmpty }
                let legs = squid.connects(to: server.port)
                #expect(legs.count == 2 && legs[0].hasPrefix("TCP_DENIED/407"), "\(legs)")
                #expect(legs[1].hasSuffix(" dora"), "\(legs)")
                #expect(!client.process.errors.text.contains(Self.password))
            }
        }

        @Test(
            "A wrong password for Digest is tried once, and ends the client with 77",
            .needs(.squid, .squidDigest, .openssl)
        )
        func wrongDigest() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(
                    in: scenario,
                    offering: [.digest(user: "dora", password: Self.password)]
                )
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", squid.url, "--proxy-user", "dora:not-the-password", "--log-level", "trace"]
                )
                expect(line, says: "proxy \(squid.url): proxy: ", "Digest", "407", "lock")
                #expect(!line.contains("not-the-password"))
                let legs = squid.connects(to: server.port)
                #expect(legs.count == 2 && legs.allSatisfy { $0.hasPrefix("TCP_DENIED/407") }, "\(legs)")
            }
        }

        @Test("NTLM with Squid's helper takes three requests", .needs(.squid, .squidFakeNTLM))
        func fakeNTLM() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(in: scenario, offering: [.fakeNTLM])
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", squid.url, "--proxy-user", "OFFICE\\nick:\(Self.password)"]
                )
                await client.process.end()
                try await eventually("Squid logs the tunnel") { !squid.tunnels(to: server.port).isEmpty }
                let legs = squid.connects(to: server.port)
                #expect(legs.count == 3, "\(legs)")
            }
        }

        @Test(
            "Samba verifies NTLM version 2 for each form of the user name",
            .needs(.squid, .ntlmAuth),
            arguments: ["nora", "OFFICE\\nora", "nora@office.example"]
        )
        func ntlm(_ user: String) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(
                    in: scenario,
                    offering: [.ntlm(domain: "OFFICE", password: Self.password)]
                )
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", squid.url, "--proxy-user", "\(user):\(Self.password)", "--log-level", "trace"]
                )
                await client.process.end()
                try await eventually("Squid logs the tunnel") { !squid.tunnels(to: server.port).isEmpty }
                let legs = squid.connects(to: server.port)
                #expect(legs.count == 3 && legs[2].contains("nora"), "\(legs)")
                #expect(!client.process.errors.text.contains(Self.password))
            }
        }

        @Test("A wrong password for NTLM is tried once, and ends the client with 77", .needs(.squid, .ntlmAuth))
        func wrongNTLM() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(
                    in: scenario,
                    offering: [.ntlm(domain: "OFFICE", password: Self.password)]
                )
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", squid.url, "--proxy-user", "OFFICE\\nora:not-the-password", "--log-level", "trace"]
                )
                expect(line, says: "proxy \(squid.url): proxy: ", "NTLM", "DOMAIN\\user", "lock")
                #expect(!line.contains("not-the-password"))
                let legs = squid.connects(to: server.port)
                #expect(legs.count == 3 && legs.allSatisfy { $0.hasPrefix("TCP_DENIED/407") }, "\(legs)")
            }
        }

        @Test(
            "The strongest scheme that --proxy-auth permits is used (R9)",
            .needs(.squid, .squidBasic, .squidDigest, .squidFakeNTLM, .openssl),
            arguments: zip(["auto", "ntlm", "digest", "basic"], [3, 3, 2, 2])
        )
        func strongest(_ permitted: String, _ legs: Int) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(
                    in: scenario,
                    offering: [
                        .basic(user: "alma", password: Self.password), .digest(user: "alma", password: Self.password),
                        .fakeNTLM,
                    ]
                )
                let client = try await scenario.expectPage(
                    from: server.url,
                    [
                        "--proxy", squid.url, "--proxy-user", "alma:\(Self.password)", "--proxy-auth", permitted,
                    ]
                )
                await client.process.end()
                try await eventually("Squid logs the tunnel") { !squid.tunnels(to: server.port).isEmpty }
                #expect(squid.connects(to: server.port).count == legs)
                let warnings = client.process.errors.lines.filter { $0.contains("Basic over an unencrypted") }
                #expect(warnings.count == (permitted == "basic" ? 1 : 0), "\(client.process)")
            }
        }

        @Test("A password is never sent by a scheme that --proxy-auth does not permit (R12)")
        func notPermitted() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy { connection in
                    while try connection.request() != nil { try connection.challenge("Basic realm=\"office\"") }
                }
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", proxy.url, "--proxy-user", "alma:\(Self.password)", "--proxy-auth", "ntlm"]
                )
                expect(line, says: "offers Basic", "--proxy-auth")
                #expect(proxy.requests.all.count == 1)
                #expect(proxy.requests.all.allSatisfy { $0.field("Proxy-Authorization") == nil })
            }
        }
    }
}
