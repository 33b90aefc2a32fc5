import TestSupport
import Testing

extension EndToEnd {
    /// The client's search for the system's CA certificates.
    @Suite(.serialized)
    struct CertificateStoreTests {
        private static let nowhere = ["SSL_CERT_FILE": "/no/such/file", "SSL_CERT_DIR": "/no/such/folder"]

        @Test("Without any CA the client names the package and the option; with --ca it works", .needs(.openssl))
        func nothing() async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer()
                let url = "wss://localhost:\(server.port)"
                let line = try await scenario.expectEnd(78, from: url, [], environment: Self.nowhere)
                expect(line, says: "no CA certificates", "install the package ca-certificates", "--ca FILE")
                let client = try await scenario.expectPage(
                    from: url,
                    ["--ca", authority],
                    environment: Self.nowhere
                )
                await client.process.end()
                let plain = try await scenario.server()
                let without = try await scenario.expectPage(from: plain.url, [], environment: Self.nowhere)
                await without.process.end()
            }
        }

        @Test("SSL_CERT_FILE and SSL_CERT_DIR name the CA certificates", .needs(.openssl))
        func variables() async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer()
                let folder = String(authority.dropLast("/ca.pem".count))
                for environment in [["SSL_CERT_FILE": authority], ["SSL_CERT_DIR": folder]] {
                    let url = "wss://localhost:\(server.port)"
                    let client = try await scenario.expectPage(from: url, [], environment: environment)
                    await client.process.end()
                }
            }
        }

        @Test("Without any CA, TLS to a proxy fails with the same advice", .needs(.openssl))
        func proxy() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try await scenario.secureServer().server
                let line = try await scenario.expectEnd(
                    69,
                    from: server.url,
                    ["--proxy", "https://localhost:\(proxy.port)", "--max-retries", "0"],
                    environment: Self.nowhere
                )
                expect(line, says: "TLS to the proxy", "install the package ca-certificates", "--ca FILE")
            }
        }
    }
}
