import Foundation
import TestSupport
import Testing

extension Trait where Self == ConditionTrait {
    /// Skips the test if the programs of a Kerberos realm or Squid are missing.
    static var needsRealm: Self {
        .needs(.squid, .squidNegotiate, .squidBasic, .openssl, .kdc, .kdb5Util, .kadmin, .kinit)
    }
}

extension EndToEnd {
    /// Negotiate with the Kerberos server of the test.
    @Suite(.serialized)
    struct ProxyKerberosTests {
        static let user = "kate"
        static let password = "Basic-Secret-4"

        /// Starts a server, a realm, and a Squid in it that offers Negotiate, and Basic on request.
        static func start(_ scenario: Scenario, hasBasic: Bool = false) async throws -> (
            server: CulvertServer, realm: KerberosRealm, squid: Squid, proxy: String
        ) {
            let server = try await scenario.server()
            let realm = try await KerberosRealm.start(in: scenario, user: user)
            let basic: [Squid.Scheme] = hasBasic ? [.basic(user: user, password: password)] : []
            let squid = try await Squid.start(in: scenario, offering: [.negotiate(realm)] + basic)
            return (server, realm, squid, squid.url(host: "localhost"))
        }

        @Test("A ticket opens the tunnel without a user and a password", .needsRealm)
        func ticket() async throws {
            try await Scenario.run { scenario in
                let (server, realm, squid, proxy) = try await Self.start(scenario)
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", proxy],
                    environment: realm.withTicket(of: Self.user, in: scenario)
                )
                await client.process.end()
                let line = try await eventually("Squid logs the tunnel") { squid.tunnels(to: server.port).first }
                #expect(line.hasSuffix(" \(Self.user)@\(KerberosRealm.name)"), "\(line)")
                #expect(squid.connects(to: server.port).count == 2)
            }
        }

        @Test("A client keytab works like a ticket", .needsRealm)
        func keytab() async throws {
            try await Scenario.run { scenario in
                let (server, realm, squid, proxy) = try await Self.start(scenario)
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", proxy],
                    environment: realm.withKeytab(of: Self.user)
                )
                await client.process.end()
                let line = try await eventually("Squid logs the tunnel") { squid.tunnels(to: server.port).first }
                #expect(line.hasSuffix(" \(Self.user)@\(KerberosRealm.name)"), "\(line)")
            }
        }

        @Test("Without a ticket the client ends with 77, and the line names kinit", .needsRealm)
        func noTicket() async throws {
            try await Scenario.run { scenario in
                let (server, realm, squid, proxy) = try await Self.start(scenario)
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", proxy],
                    environment: realm.withoutTicket
                )
                expect(line, says: "through proxy \(proxy)", "ticket", "kinit", "HTTP/localhost")
                #expect(squid.connects(to: server.port).count == 1, "the client sent no answer to the challenge")
            }
        }

        @Test("A service that the Kerberos server does not know is reported, and not a missing ticket", .needsRealm)
        func unknownService() async throws {
            try await Scenario.run { scenario in
                let (server, realm, squid, _) = try await Self.start(scenario)
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", squid.url],
                    environment: realm.withTicket(of: Self.user, in: scenario)
                )
                expect(line, says: "HTTP/127.0.0.1")
            }
        }

        @Test("Without a ticket the client uses Basic if it has a password and the proxy offers it", .needsRealm)
        func fallBack() async throws {
            try await Scenario.run { scenario in
                let (server, realm, squid, proxy) = try await Self.start(scenario, hasBasic: true)
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", proxy, "--proxy-user", "\(Self.user):\(Self.password)"],
                    environment: realm.withoutTicket
                )
                await client.process.end()
                let line = try await eventually("Squid logs the tunnel") { squid.tunnels(to: server.port).first }
                #expect(line.hasSuffix(" \(Self.user)"), "\(line)")
            }
        }

        @Test("With a ticket and a password the client uses the ticket and does not send the password", .needsRealm)
        func ticketFirst() async throws {
            try await Scenario.run { scenario in
                let (server, realm, squid, proxy) = try await Self.start(scenario, hasBasic: true)
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", proxy, "--proxy-user", "\(Self.user):\(Self.password)"],
                    environment: realm.withTicket(of: Self.user, in: scenario)
                )
                await client.process.end()
                let line = try await eventually("Squid logs the tunnel") { squid.tunnels(to: server.port).first }
                #expect(line.hasSuffix(" \(Self.user)@\(KerberosRealm.name)"), "\(line)")
                #expect(!client.process.errors.text.contains("Basic"))
            }
        }
    }
}
