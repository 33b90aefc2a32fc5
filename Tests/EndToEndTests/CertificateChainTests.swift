import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Chains and kinds of certificates between a real server and a real client, and the line for each failure.
    @Suite(.serialized)
    struct CertificateChainTests {
        /// A root, an issuing CA below it, and what the rows need besides.
        private struct Scene {
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
                _ terms: IssuedCertificate.Terms,
                by issuer: IssuedCertificate?
            ) async throws -> IssuedCertificate {
                try await IssuedCertificate.make(terms, by: issuer, in: scenario, named: name)
            }

            /// A server that shows this certificate and then the others.
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

            func works(_ server: CulvertServer, trusting authority: IssuedCertificate, _ more: [String] = [])
                async throws
            {
                let url = "wss://localhost:\(server.port)"
                let client = try await scenario.expectPage(
                    from: url,
                    ["--ca", authority.certificate, "--ca-only"] + more
                )
                await client.process.end()
            }

            func fails(_ server: CulvertServer, trusting authority: IssuedCertificate, says: String...) async throws {
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(server.port)",
                    ["--ca", authority.certificate, "--ca-only", "--max-retries", "0"]
                )
                for words in says { #expect(line.contains(words), "\(line)") }
                #expect(Insides.found(in: line) == nil, "\(line)")
            }
        }

        @Test("an issuing CA is enough, for a server's certificate and for a client's", .needs(.openssl))
        func partial() async throws {
            try await Scenario.play { scenario in
                let scene = try await Scene(scenario)
                let leaf = try await scene.make("leaf", .leaf("DNS:localhost"), by: scene.issuing)
                let own = try await scene.make("own", .leaf("DNS:laptop"), by: scene.issuing)
                let other = try await scene.make("other", .leaf("DNS:laptop"), by: scene.root)
                let server = try await scene.server(leaf, [], ["--tls-client-ca", scene.issuing.certificate])
                let mine = ["--tls-certificate", own.certificate, "--tls-key", own.key]
                try await scene.works(server, trusting: scene.issuing, mine)
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(server.port)",
                    ["--ca", scene.issuing.certificate, "--max-retries", "0"]
                        + ["--tls-certificate", other.certificate, "--tls-key", other.key]
                )
                expect(line, says: "--tls-certificate")
                let reason = try await server.process.logLine { $0.contains("a client's certificate was refused") }
                expect(reason, says: "Lab root", "does not trust")
                let without = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(server.port)",
                    ["--ca", scene.issuing.certificate, "--max-retries", "0"]
                )
                expect(without, says: "--tls-certificate")
                _ = try await server.process.logLine { $0.contains("a client showed no certificate") }
            }
        }

        @Test("each break in a chain has its own sentence", .needs(.openssl))
        func sentences() async throws {
            try await Scenario.play { scenario in
                let scene = try await Scene(scenario)
                let leaf = try await scene.make("leaf", .leaf("DNS:localhost"), by: scene.issuing)
                try await scene.fails(
                    scene.server(leaf),
                    trusting: scene.root,
                    says:
                        "issued by \"Lab issuing\", which this machine does not trust, and whose certificate was not sent",
                    "if \"Lab issuing\" is an intermediate CA, the other end must send its certificate too"
                )
                let old = try await scene.make("old", .authority("Old issuing", days: -1), by: scene.root)
                let below = try await scene.make("below", .leaf("DNS:localhost"), by: old)
                try await scene.fails(
                    scene.server(below, [old]),
                    trusting: scene.root,
                    says:
                        "the intermediate CA \"Old issuing\", which issued the certificate of localhost, has expired on ",
                    "must send a newer intermediate"
                )
                let oldRoot = try await scene.make("old-root", .authority("Old root", days: -1), by: nil)
                let under = try await scene.make("under", .leaf("DNS:localhost"), by: oldRoot)
                try await scene.fails(
                    scene.server(under),
                    trusting: oldRoot,
                    says: "the CA \"Old root\", to which the certificate of localhost leads, has expired on ",
                    "update this machine's CA certificates"
                )
                let foreign = try await scene.make("foreign", .authority("Other root"), by: nil)
                try await scene.fails(
                    scene.server(leaf, [scene.issuing, scene.root]),
                    trusting: foreign,
                    says: "issued by \"Lab root\", which this machine does not trust"
                )
                let client = try await scene.make(
                    "client",
                    .leaf("DNS:localhost", ["extendedKeyUsage=clientAuth"]),
                    by: scene.root
                )
                try await scene.fails(scene.server(client), trusting: scene.root, says: "extended key usage")
            }
        }

        @Test("a key usage without digitalSignature is named", .needs(.openssl))
        func keyUsage() async throws {
            try await Scenario.play { scenario in
                let scene = try await Scene(scenario)
                for (name, key) in [("ec", IssuedCertificate.Terms.p256), ("rsa", IssuedCertificate.Terms.rsa)] {
                    let usage = ["keyUsage=critical,keyEncipherment"]
                    let leaf = try await scene.make(name, .leaf("DNS:localhost", key: key, usage), by: scene.root)
                    let port = try await scenario.opensslServer(leaf.certificate, leaf.key)
                    let line = try await scenario.expectEnd(
                        69,
                        from: "wss://localhost:\(port)",
                        ["--ca", scene.root.certificate, "--max-retries", "0"]
                    )
                    expect(line, says: "key usage", "lacks digitalSignature", "issued anew")
                    #expect(Insides.found(in: line) == nil, "\(line)")
                }
            }
        }

        @Test("a server says at its start what is wrong with its own certificate and key", .needs(.openssl))
        func ownCertificate() async throws {
            try await Scenario.play { scenario in
                let scene = try await Scene(scenario)
                let usage = ["keyUsage=critical,keyEncipherment"]
                let unfit = try await scene.make("unfit", .leaf("DNS:localhost", usage), by: scene.root)
                let leaf = try await scene.make("leaf", .leaf("DNS:localhost"), by: scene.root)
                let odd = try await scene.make(
                    "odd",
                    .leaf("DNS:localhost", key: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
                    by: scene.root
                )
                for (certificate, key, says) in [
                    (unfit.certificate, unfit.key, "lacks digitalSignature"),
                    (leaf.certificate, unfit.key, "does not belong to the certificate"),
                    (odd.certificate, odd.key, "P-256"),
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
            "Ed25519, P-521 and RSA work at both ends, by TLS 1.3 and 1.2",
            .needs(.openssl),
            arguments: [IssuedCertificate.Terms.ed25519, IssuedCertificate.Terms.p521, IssuedCertificate.Terms.rsa]
        )
        func kinds(_ key: [String]) async throws {
            try await Scenario.play { scenario in
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
