import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Certificate chains and key types between a real server and client, and the error line of each failure.
    @Suite(.serialized)
    struct CertificateChainTests {
        /// A root and an issuing CA below it, for the certificates of a test.
        private struct PKI {
            let scenario: Scenario
            let root: IssuedCertificate
            let issuing: IssuedCertificate

            init(_ scenario: Scenario) async throws {
                self.scenario = scenario
                root = try await IssuedCertificate.make(.authority("Lab root"), in: scenario, named: "root")
                issuing = try await IssuedCertificate.make(
                    .authority("Lab issuing"),
                    by: root,
                    in: scenario,
                    named: "issuing"
                )
            }

            func make(
                _ name: String,
                _ properties: IssuedCertificate.Properties,
                by issuer: IssuedCertificate?
            ) async throws -> IssuedCertificate {
                try await IssuedCertificate.make(properties, by: issuer, in: scenario, named: name)
            }

            /// Starts a server whose chain is a certificate and then the others.
            func server(
                _ leaf: IssuedCertificate,
                _ others: [IssuedCertificate] = [],
                _ options: [String] = []
            ) async throws -> CulvertServer {
                let chain = try ([leaf] + others).map { try String(contentsOfFile: $0.certificate, encoding: .utf8) }
                let path = "\(scenario.directory)/chain-\(UUID().uuidString).pem"
                try scenario.write(chain.joined(), to: path)
                return try await scenario.server(options: ["--tls-certificate", path, "--tls-key", leaf.key] + options)
            }

            func expectSuccess(_ server: CulvertServer, trusting authority: IssuedCertificate, _ more: [String] = [])
                async throws
            {
                let url = "wss://localhost:\(server.port)"
                let client = try await scenario.expectPage(
                    from: url,
                    ["--ca", authority.certificate, "--ca-only"] + more
                )
                await client.process.end()
            }

            func expectFailure(_ server: CulvertServer, trusting authority: IssuedCertificate, says: String...)
                async throws
            {
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(server.port)",
                    ["--ca", authority.certificate, "--ca-only", "--max-retries", "0"]
                )
                for words in says { #expect(line.contains(words), "\(line)") }
                #expect(InternalNames.first(in: line) == nil, "\(line)")
            }
        }

        @Test("An issuing CA without its root is a sufficient trust anchor for servers and clients", .needs(.openssl))
        func partial() async throws {
            try await Scenario.run { scenario in
                let pki = try await PKI(scenario)
                let leaf = try await pki.make("leaf", .leaf("DNS:localhost"), by: pki.issuing)
                let own = try await pki.make("own", .leaf("DNS:laptop"), by: pki.issuing)
                let other = try await pki.make("other", .leaf("DNS:laptop"), by: pki.root)
                let server = try await pki.server(leaf, [], ["--tls-client-ca", pki.issuing.certificate])
                let mine = ["--tls-certificate", own.certificate, "--tls-key", own.key]
                try await pki.expectSuccess(server, trusting: pki.issuing, mine)
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(server.port)",
                    ["--ca", pki.issuing.certificate, "--max-retries", "0"]
                        + ["--tls-certificate", other.certificate, "--tls-key", other.key]
                )
                expect(line, says: "--tls-certificate")
                let reason = try await server.process.logLine { $0.contains("a client's certificate was refused") }
                expect(reason, says: "Lab root", "does not trust")
                let without = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(server.port)",
                    ["--ca", pki.issuing.certificate, "--max-retries", "0"]
                )
                expect(without, says: "--tls-certificate")
                _ = try await server.process.logLine { $0.contains("a client showed no certificate") }
            }
        }

        @Test("Each kind of broken chain has its own error line", .needs(.openssl))
        func sentences() async throws {
            try await Scenario.run { scenario in
                let pki = try await PKI(scenario)
                let leaf = try await pki.make("leaf", .leaf("DNS:localhost"), by: pki.issuing)
                try await pki.expectFailure(
                    pki.server(leaf),
                    trusting: pki.root,
                    says:
                        "issued by \"Lab issuing\", which this machine does not trust, and whose certificate was not sent",
                    "if \"Lab issuing\" is an intermediate CA, the other end must send its certificate too"
                )
                let old = try await pki.make("old", .authority("Old issuing", days: -1), by: pki.root)
                let below = try await pki.make("below", .leaf("DNS:localhost"), by: old)
                try await pki.expectFailure(
                    pki.server(below, [old]),
                    trusting: pki.root,
                    says:
                        "the intermediate CA \"Old issuing\", which issued the certificate of localhost, has expired on ",
                    "must send a newer intermediate"
                )
                let oldRoot = try await pki.make("old-root", .authority("Old root", days: -1), by: nil)
                let under = try await pki.make("under", .leaf("DNS:localhost"), by: oldRoot)
                try await pki.expectFailure(
                    pki.server(under),
                    trusting: oldRoot,
                    says: "the CA \"Old root\", to which the certificate of localhost leads, has expired on ",
                    "update this machine's CA certificates"
                )
                let foreign = try await pki.make("foreign", .authority("Other root"), by: nil)
                try await pki.expectFailure(
                    pki.server(leaf, [pki.issuing, pki.root]),
                    trusting: foreign,
                    says: "issued by \"Lab root\", which this machine does not trust"
                )
                let client = try await pki.make(
                    "client",
                    .leaf("DNS:localhost", ["extendedKeyUsage=clientAuth"]),
                    by: pki.root
                )
                try await pki.expectFailure(pki.server(client), trusting: pki.root, says: "extended key usage")
            }
        }

        @Test("A key usage without digitalSignature is reported", .needs(.openssl))
        func keyUsage() async throws {
            try await Scenario.run { scenario in
                let pki = try await PKI(scenario)
                for (name, key) in [
                    ("ec", IssuedCertificate.Properties.p256), ("rsa", IssuedCertificate.Properties.rsa),
                ] {
                    let usage = ["keyUsage=critical,keyEncipherment"]
                    let leaf = try await pki.make(name, .leaf("DNS:localhost", key: key, usage), by: pki.root)
                    let port = try await scenario.opensslServer(leaf.certificate, leaf.key)
                    let line = try await scenario.expectEnd(
                        69,
                        from: "wss://localhost:\(port)",
                        ["--ca", pki.root.certificate, "--max-retries", "0"]
                    )
                    expect(line, says: "key usage", "lacks digitalSignature", "issued anew")
                    #expect(InternalNames.first(in: line) == nil, "\(line)")
                }
            }
        }

        @Test("A server reports errors of its own certificate and key at its start", .needs(.openssl))
        func ownCertificate() async throws {
            try await Scenario.run { scenario in
                let pki = try await PKI(scenario)
                let usage = ["keyUsage=critical,keyEncipherment"]
                let unfit = try await pki.make("unfit", .leaf("DNS:localhost", usage), by: pki.root)
                let leaf = try await pki.make("leaf", .leaf("DNS:localhost"), by: pki.root)
                let unsupported = try await pki.make(
                    "unsupported",
                    .leaf("DNS:localhost", key: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
                    by: pki.root
                )
                for (certificate, key, says) in [
                    (unfit.certificate, unfit.key, "lacks digitalSignature"),
                    (leaf.certificate, unfit.key, "does not belong to the certificate"),
                    (unsupported.certificate, unsupported.key, "P-256"),
                ] {
                    let server = try scenario.culvert(
                        "server",
                        ["server", "--listen", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key]
                    )
                    let status = try await server.exitStatus()
                    #expect(status == .exited(78) || status == .exited(65), "\(server)")
                    let line = server.errors.lines.last ?? ""
                    #expect(line.contains(says), "\(server)")
                }
            }
        }

        @Test(
            "Ed25519, P-521 and RSA work at both ends, with TLS 1.3 and 1.2",
            .needs(.openssl),
            arguments: [
                IssuedCertificate.Properties.ed25519, IssuedCertificate.Properties.p521,
                IssuedCertificate.Properties.rsa,
            ]
        )
        func kinds(_ key: [String]) async throws {
            try await Scenario.run { scenario in
                let root = try await IssuedCertificate.make(.authority("Root", key: key), in: scenario, named: "root")
                let leaf = try await IssuedCertificate.make(
                    .leaf("DNS:localhost", key: key),
                    by: root,
                    in: scenario,
                    named: "leaf"
                )
                let own = try await IssuedCertificate.make(
                    .leaf("DNS:laptop", key: key),
                    by: root,
                    in: scenario,
                    named: "own"
                )
                let server = try await scenario.server(options: [
                    "--tls-certificate", leaf.certificate, "--tls-key", leaf.key, "--tls-client-ca", root.certificate,
                ])
                for version in ["1.3", "1.2"] {
                    let client = try await scenario.expectPage(
                        from: "wss://localhost:\(server.port)",
                        ["--ca", root.certificate, "--tls-certificate", own.certificate, "--tls-key", own.key]
                            + ["--tls-max-version", version]
                    )
                    await client.process.end()
                }
            }
        }
    }
}
