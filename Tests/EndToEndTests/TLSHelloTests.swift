import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The ClientHello: what a user may say about it, and middleboxes that take only a short one.
    @Suite(.serialized)
    struct TLSHelloTests {
        @Test(
            "after two handshakes that were cut without an answer a small hello is tried, kept for the run, and told",
            .needs(.openssl),
            arguments: [HelloBox.Manner.end, .reset]
        )
        func fallsBack(_ manner: HelloBox.Manner) async throws {
            try await Scenario.play { scenario in
                let (server, authority) = try await scenario.secureServer()
                let box = try HelloBox(to: server.port, manner)
                let client = try await scenario.expectPage(from: "wss://localhost:\(box.port)", ["--ca", authority])
                let lengths = box.hellos.all
                #expect(lengths.count == 3 && lengths.prefix(2).allSatisfy { $0 > 1_400 }, "\(lengths)")
                _ = try await client.process.logLine { $0.contains("trying a smaller ClientHello") }
                _ = try await client.process.logLine { $0.contains("kept for this run") && $0.contains("--tls-groups") }
                client.process.signal(SIGHUP)
                try await eventually("another carrier is dialled") { box.hellos.all.count == 4 }
                #expect(box.hellos.all.last ?? 9_999 <= 1_400, "\(box.hellos.all)")
            }
        }

        @Test(
            "one that is swallowed is followed by a small one too",
            .needs(.openssl),
            .enabled(if: TestRun.isSlow, "waits for timeouts: CULVERT_SLOW=1")
        )
        func fallsBackAfterSilence() async throws {
            try await Scenario.play { scenario in
                let (server, authority) = try await scenario.secureServer()
                let box = try HelloBox(to: server.port, .silence)
                let path = "\(scenario.directory)/client.toml"
                try scenario.write("[limits]\nhop_timeout = \"1 s\"\n", to: path)
                let options = ["--ca", authority, "--config", path]
                _ = try await scenario.expectPage(from: "wss://localhost:\(box.port)", options)
                #expect(box.hellos.all.count == 3, "\(box.hellos.all)")
            }
        }

        @Test("a TLS proxy's handshake falls back by itself, and the server's has its full hello", .needs(.openssl))
        func proxyFallsBack() async throws {
            try await Scenario.play { scenario in
                let (server, authority) = try await scenario.secureServer()
                let inner = try HelloBox(to: server.port, longest: 16_384, .end)
                let certificate = try await Certificate.make(in: scenario, issuer: "Proxy CA")
                let proxy = try await Squid.start(in: scenario, offering: [], tls: .init(certificate))
                let box = try HelloBox(to: proxy.port, .end)
                _ = try await scenario.expectPage(
                    from: "wss://localhost:\(inner.port)",
                    ["--ca", authority, "--ca", certificate.authority, "--proxy", "https://localhost:\(box.port)"]
                )
                #expect(box.hellos.all.count == 3, "\(box.hellos.all)")
                #expect(inner.hellos.all.allSatisfy { $0 > 1_400 }, "\(inner.hellos.all)")
            }
        }

        @Test(
            "groups that were chosen are sent at once, and TLS 1.2 is spoken where no more is allowed",
            .needs(.openssl)
        )
        func chosen() async throws {
            try await Scenario.play { scenario in
                let (server, authority) = try await scenario.secureServer()
                let box = try HelloBox(to: server.port, .end)
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

        @Test("a server that takes none of the chosen groups, or knows no such name, is told so", .needs(.openssl))
        func notTaken() async throws {
            try await Scenario.play { scenario in
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

        @Test("groups and versions that cannot be are refused, with what can")
        func refused() async throws {
            try await Scenario.play { scenario in
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
            "--connect-to dials elsewhere, and the URL's name stays in SNI, in Host and in verification",
            .needs(.openssl)
        )
        func elsewhere() async throws {
            try await Scenario.play { scenario in
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
