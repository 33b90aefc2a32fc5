import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Options of the ClientHello, and middleboxes that pass only a short one.
    @Suite(.serialized)
    struct TLSHelloTests {
        @Test(
            "After two handshakes without an answer the client tries a small ClientHello, keeps it, and logs both",
            .needs(.openssl),
            arguments: [ClientHelloMiddlebox.Reaction.end, .reset]
        )
        func fallsBack(_ reaction: ClientHelloMiddlebox.Reaction) async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer()
                let box = try ClientHelloMiddlebox(to: server.port, reaction)
                let client = try await scenario.expectPage(
                    from: "wss://localhost:\(box.port)",
                    ["--ca", authority, "--admin", scenario.adminSocket]
                )
                let lengths = box.hellos.all
                #expect(lengths.count == 3 && lengths.prefix(2).allSatisfy { $0 > 1_400 }, "\(lengths)")
                _ = try await client.process.logLine { $0.contains("trying a smaller ClientHello") }
                _ = try await client.process.logLine { $0.contains("kept for this run") && $0.contains("--tls-groups") }
                try scenario.renew()
                try await eventually("another carrier is dialled") { box.hellos.all.count == 4 }
                #expect(box.hellos.all.last ?? 9_999 <= 1_400, "\(box.hellos.all)")
            }
        }

        @Test(
            "After handshakes that time out the client tries a small ClientHello",
            .needs(.openssl),
            .enabled(if: TestRun.isSlow, "waits for timeouts: CULVERT_SLOW=1")
        )
        func fallsBackAfterSilence() async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer()
                let box = try ClientHelloMiddlebox(to: server.port, .silence)
                let path = "\(scenario.directory)/client.toml"
                try scenario.write("[limits]\nhop_timeout = \"1 s\"\n", to: path)
                let options = ["--ca", authority, "--config", path]
                _ = try await scenario.expectPage(from: "wss://localhost:\(box.port)", options)
                #expect(box.hellos.all.count == 3, "\(box.hellos.all)")
            }
        }

        @Test(
            "Only the handshake with a TLS proxy falls back, and the server gets a full ClientHello",
            .needs(.openssl)
        )
        func proxyFallsBack() async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer()
                let inner = try ClientHelloMiddlebox(to: server.port, longest: 16_384, .end)
                let certificate = try await Certificate.make(in: scenario, issuer: "Proxy CA")
                let proxy = try await Squid.start(in: scenario, offering: [], tls: .init(certificate))
                let box = try ClientHelloMiddlebox(to: proxy.port, .end)
                _ = try await scenario.expectPage(
                    from: "wss://localhost:\(inner.port)",
                    ["--ca", authority, "--ca", certificate.authority, "--proxy", "https://localhost:\(box.port)"]
                )
                #expect(box.hellos.all.count == 3, "\(box.hellos.all)")
                #expect(inner.hellos.all.allSatisfy { $0 > 1_400 }, "\(inner.hellos.all)")
            }
        }

        @Test(
            "Configured groups are in the first ClientHello, and --tls-max-version 1.2 limits the version",
            .needs(.openssl)
        )
        func chosen() async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer()
                let box = try ClientHelloMiddlebox(to: server.port, .end)
                let url = "wss://localhost:\(box.port)"
                for options in [["--tls-groups", "x25519,P-256"], ["--tls-max-version", "1.2"]] {
                    let client = try await scenario.expectPage(from: url, ["--ca", authority] + options)
                    await client.process.end()
                }
                let path = "\(scenario.directory)/client.toml"
                try scenario.write("tls_groups = [\"P-256\"]\ntls_max_version = \"1.2\"\n", to: path)
                let client = try await scenario.expectPage(from: url, ["--ca", authority, "--config", path])
                await client.process.end()
                #expect(box.hellos.all.count == 3 && box.hellos.all.allSatisfy { $0 <= 1_400 }, "\(box.hellos.all)")
            }
        }

        @Test(
            "A server without the chosen groups or version, or without the name, causes a line that names them",
            .needs(.openssl)
        )
        func notAccepted() async throws {
            try await Scenario.run { scenario in
                let made = try await Certificate.make(in: scenario)
                for (options, choice, says) in [
                    (["-groups", "P-384"], ["--tls-groups", "x25519"], "--tls-groups"),
                    (["-no_tls1_2"], ["--tls-max-version", "1.2"], "--tls-max-version"),
                    (
                        [
                            "-servername", "other.test", "-servername_fatal", "-cert2", made.certificate, "-key2",
                            made.key,
                        ],
                        [], "does not serve the name localhost"
                    ),
                ] {
                    let port = try await scenario.opensslServer(made.certificate, made.key, options)
                    let line = try await scenario.expectEnd(
                        69,
                        from: "wss://localhost:\(port)",
                        ["--ca", made.authority, "--max-retries", "0"] + choice
                    )
                    expect(line, says: ": TLS: ", says)
                }
            }
        }

        @Test("Invalid groups, versions and addresses are refused with the valid values")
        func refused() async throws {
            try await Scenario.run { scenario in
                for (options, says) in [
                    (["--tls-groups", "x448"], "known are X25519MLKEM768"), (["--tls-groups", ""], "an empty name"),
                    (["--tls-groups", "p-256,P256"], "P-256 stands twice"),
                    (["--tls-max-version", "1.1"], "1.2 or 1.3"),
                    (["--connect-to", "host"], "HOST:PORT"), (["--connect-to", "::1:443"], "HOST:PORT"),
                ] {
                    let client = try scenario.client("wss://localhost:9", ["0:127.0.0.1:9"], options: options)
                    #expect(try await client.process.exitStatus() == .exited(64))
                    #expect(client.process.errors.text.contains(says), "\(client.process)")
                }
            }
        }

        @Test(
            "--connect-to changes the dialled address, and the URL's name stays in SNI, Host and verification",
            .needs(.openssl)
        )
        func elsewhere() async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer(for: "DNS:tunnel.test")
                let trust = ["--ca", authority, "--connect-to", "127.0.0.1:\(server.port)"]
                let direct = try await scenario.expectPage(from: "wss://tunnel.test", trust)
                #expect(direct.process.output.text.contains("tunnel tcp://"), "\(direct.process)")
                await direct.process.end()
                let proxy = try ScriptedProxy.open()
                let client = try await scenario.expectPage(from: "wss://tunnel.test", trust + ["--proxy", proxy.url])
                await client.process.end()
                #expect(proxy.requests.all.map(\.target) == ["127.0.0.1:\(server.port)"])
                let path = "\(scenario.directory)/client.toml"
                try scenario.write("connect_to = \"127.0.0.1:\(server.port)\"\n", to: path)
                let options = ["--ca", authority, "--config", path, "--max-retries", "0"]
                let line = try await scenario.expectEnd(69, from: "wss://other.test", options)
                expect(line, says: "wss://other.test/tunnel at 127.0.0.1:\(server.port)", "not for other.test")
            }
        }
    }
}
