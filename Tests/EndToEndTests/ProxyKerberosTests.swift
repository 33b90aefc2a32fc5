import Foundation
import TestSupport
import Testing

extension Trait where Self == ConditionTrait {
    /// Skips where a Kerberos realm, or a Squid in it, cannot be had.
    static var needsRealm: Self {
        .needs(.squid, .squidNegotiate, .squidBasic, .openssl, .kdc, .kdb5Util, .kadmin, .kinit)
    }
}

extension EndToEnd {
    /// Negotiate with a Kerberos server of the test's own.
    @Suite(.serialized)
    struct ProxyKerberosTests {
        static let user = "kate"
        static let password = "Basic-Secret-4"

        /// Squid in a realm; it offers Basic too where asked.
        static func scene(_ scenario: Scenario, hasBasic: Bool = false) async throws -> (
            server: CulvertServer, realm: KerberosRealm, squid: Squid, proxy: String
        ) {
            let server = try await scenario.server()
            let realm = try await KerberosRealm.start(in: scenario, user: user)
            let basic: [Squid.Scheme] = hasBasic ? [.basic(user: user, password: password)] : []
            let squid = try await Squid.start(in: scenario, offering: [.negotiate(realm)] + basic)
            return (server, realm, squid, squid.url(host: "localhost"))
        }

        @Test("A ticket opens the tunnel: no user, no password", .needsRealm)
        func ticket() async throws {
            try await Scenario.play { scenario in
                let (server, realm, squid, proxy) = try await Self.scene(scenario)
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

        @Test("A keytab of the client's own does what a ticket does", .needsRealm)
        func keytab() async throws {
            try await Scenario.play { scenario in
                let (server, realm, squid, proxy) = try await Self.scene(scenario)
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

        @Test("Without a ticket the client ends with 77, and the line says kinit", .needsRealm)
        func noTicket() async throws {
            try await Scenario.play { scenario in
                let (server, realm, squid, proxy) = try await Self.scene(scenario)
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", proxy],
                    environment: realm.withoutTicket
                )
                expect(line, says: "through proxy \(proxy)", "ticket", "kinit", "HTTP/localhost")
                #expect(squid.connects(to: server.port).count == 1, "nothing was sent that could be refused")
            }
        }

        @Test("A ticket that the Kerberos server knows no service for is told apart from none", .needsRealm)
        func unknownService() async throws {
            try await Scenario.play { scenario in
                let (server, realm, squid, _) = try await Self.scene(scenario)
                let line = try await scenario.expectEnd(
                    77,
                    from: server.url,
                    ["--proxy", squid.url],
                    environment: realm.withTicket(of: Self.user, in: scenario)
                )
                expect(line, says: "HTTP/127.0.0.1")
            }
        }

        @Test("Without a ticket, but with a password, Basic takes over where the proxy offers it", .needsRealm)
        func fallBack() async throws {
            try await Scenario.play { scenario in
                let (server, realm, squid, proxy) = try await Self.scene(scenario, hasBasic: true)
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

        @Test("With a ticket and a password the ticket is taken, and the password stays at home", .needsRealm)
        func ticketFirst() async throws {
            try await Scenario.play { scenario in
                let (server, realm, squid, proxy) = try await Self.scene(scenario, hasBasic: true)
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
