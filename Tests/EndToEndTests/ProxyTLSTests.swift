import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// TLS between the client and its proxy, and TLS with the server inside it.
    @Suite(.serialized)
    struct ProxyTLSTests {
        static let issuer = "Office proxy CA"
        static let inspector = "Office inspection CA"

        @Test("A proxy with TLS is trusted by --ca, by its name and by its address", .needs(.squid, .openssl))
        func trusted() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let certificate = try await Certificate.make(in: scenario, issuer: Self.issuer)
                let squid = try await Squid.start(in: scenario, offering: [], tls: .init(certificate))
                for host in ["localhost", "127.0.0.1"] {
                    let client = try await scenario.expectPage(
                        from: server.url,
                        ["--proxy", squid.url(host: host), "--ca", certificate.authority]
                    )
                    await client.process.end()
                }
                try await eventually("Squid logs both tunnels") { squid.tunnels(to: server.port).count == 2 }
            }
        }

        @Test("Basic inside TLS causes no warning", .needs(.squid, .squidBasic, .openssl))
        func basicInside() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let certificate = try await Certificate.make(in: scenario, issuer: Self.issuer)
                let squid = try await Squid.start(
                    in: scenario,
                    offering: [.basic(user: "bella", password: "tls-Secret-5")],
                    tls: .init(certificate)
                )
                let client = try await scenario.expectPage(
                    from: server.url,
                    ["--proxy", squid.url, "--ca", certificate.authority, "--proxy-user", "bella:tls-Secret-5"]
                )
                #expect(!client.process.errors.text.contains("unencrypted"), "\(client.process)")
            }
        }

        @Test(
            "A18 without --ca the line names the proxy, the issuer of its certificate, and --ca",
            .needs(.squid, .openssl)
        )
        func untrusted() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let certificate = try await Certificate.make(in: scenario, issuer: Self.issuer)
                let squid = try await Squid.start(in: scenario, offering: [], tls: .init(certificate))
                let line = try await scenario.expectEnd(
                    69,
                    from: server.url,
                    ["--proxy", squid.url, "--max-retries", "0"]
                )
                expect(line, says: "proxy \(squid.url): TLS to the proxy: ", Self.issuer, "--ca")
                #expect(squid.connects(to: server.port).isEmpty, "the proxy got a CONNECT")
            }
        }

        @Test(
            "A18 a proxy with a certificate for other names is refused, and the line has both",
            .needs(.squid, .openssl),
            arguments: ["localhost", "127.0.0.1"]
        )
        func wrongName(_ host: String) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let certificate = try await Certificate.make(
                    in: scenario,
                    for: "DNS:proxy.office.test,IP:127.0.0.9",
                    issuer: Self.issuer
                )
                let squid = try await Squid.start(in: scenario, offering: [], tls: .init(certificate))
                let line = try await scenario.expectEnd(
                    69,
                    from: server.url,
                    ["--proxy", squid.url(host: host), "--ca", certificate.authority, "--max-retries", "0"]
                )
                expect(line, says: "TLS to the proxy: ", "not for \(host)", "proxy.office.test", "127.0.0.9")
                #expect(squid.connects(to: server.port).isEmpty, "the proxy got a CONNECT")
            }
        }

        @Test(
            "A proxy that requires a client certificate gets it, and a client without one ends with 69",
            .needs(.squid, .openssl)
        )
        func clientCertificate() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let certificate = try await Certificate.make(in: scenario, issuer: Self.issuer)
                let own = try await Certificate.make(in: scenario, for: "DNS:laptop.test", issuer: "Office staff CA")
                let stranger = try await Certificate.make(in: scenario, for: "DNS:laptop.test", issuer: "Stranger CA")
                let squid = try await Squid.start(
                    in: scenario,
                    offering: [],
                    tls: .init(certificate, clientAuthority: own.authority)
                )
                let options = ["--proxy", squid.url, "--ca", certificate.authority, "--max-retries", "0"]
                let line = try await scenario.expectEnd(69, from: server.url, options)
                // The alert may be lost in the reset that follows it.
                expect(line, says: "proxy \(squid.url): ", "--proxy-certificate")
                let other = try await scenario.expectEnd(
                    69,
                    from: server.url,
                    options + ["--proxy-certificate", stranger.certificate, "--proxy-key", stranger.key]
                )
                expect(other, says: "proxy \(squid.url): ", "--proxy-certificate")
                let client = try await scenario.expectPage(
                    from: server.url,
                    options + ["--proxy-certificate", own.certificate, "--proxy-key", own.key]
                )
                await client.process.end()
                try await eventually("Squid logs the tunnel") { squid.tunnels(to: server.port).count == 1 }
                #expect(squid.connects(to: server.port).count == 1)
            }
        }

        @Test("TLS with the server works inside TLS with the proxy, each with its own CA", .needs(.squid, .openssl))
        func tlsInTLS() async throws {
            try await Scenario.run { scenario in
                let inner = try await Certificate.make(in: scenario)
                let outer = try await Certificate.make(in: scenario, issuer: Self.issuer)
                let server = try await scenario.server(
                    options: ["--tls-certificate", inner.certificate, "--tls-key", inner.key]
                )
                #expect(server.url.hasPrefix("wss://"))
                let squid = try await Squid.start(in: scenario, offering: [], tls: .init(outer))
                let url = "wss://localhost:\(server.port)"
                let proxy = ["--proxy", squid.url, "--ca", outer.authority, "--max-retries", "0"]
                let line = try await scenario.expectEnd(69, from: url, proxy)
                expect(line, says: "proxy \(squid.url): TLS: ", "Culvert test CA")
                let client = try await scenario.expectPage(from: url, proxy + ["--ca", inner.authority])
                await client.process.end()
                try await eventually("Squid logs both tunnels") { squid.tunnels(to: server.port).count == 2 }
            }
        }

        @Test(
            "A proxy that inspects TLS is recognised by its certificate: the line names the issuer and --ca",
            .needs(.openssl)
        )
        func inspection() async throws {
            try await Scenario.run { scenario in
                // The client trusts the CA of the server. It reaches a middlebox with another CA.
                let known = try await Certificate.make(in: scenario)
                let presented = try await Certificate.make(in: scenario, issuer: Self.inspector)
                let box = try await scenario.server(options: [
                    "--tls-certificate", presented.certificate, "--tls-key", presented.key,
                ])
                let proxy = try ScriptedProxy.open()
                let url = "wss://localhost:\(box.port)"
                let options = ["--proxy", proxy.url, "--ca", known.authority, "--max-retries", "0"]
                let line = try await scenario.expectEnd(69, from: url, options)
                expect(
                    line,
                    says: "proxy \(proxy.url): TLS: ",
                    "issued by \"\(Self.inspector)\"",
                    "localhost",
                    "the proxy inspects TLS",
                    "--ca FILE"
                )
                try await scenario.expectPage(from: url, options + ["--ca", presented.authority])
            }
        }

        @Test(
            "https:// for a proxy without TLS, and http:// for a proxy with TLS, cause lines with the right scheme",
            .needs(.squid, .openssl)
        )
        func wrongScheme() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let certificate = try await Certificate.make(in: scenario, issuer: Self.issuer)
                let plain = try await Squid.start(in: scenario)
                let secure = try await Squid.start(in: scenario, offering: [], tls: .init(certificate))
                let options = ["--max-retries", "0", "--proxy"]
                let first = try await scenario.expectEnd(
                    69,
                    from: server.url,
                    options + ["https://127.0.0.1:\(plain.port)"]
                )
                expect(first, says: "TLS to the proxy: ", "http://")
                let second = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:9"],
                    options: options + ["http://127.0.0.1:\(secure.port)"]
                )
                let status = try await second.process.exitStatus()
                #expect(status == .exited(69) || status == .exited(76), "\(second.process)")
                expect(second.process.errors.text, says: "proxy: ", "https://")
            }
        }
    }
}
