import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Files in the user's configuration: formats, permissions and mistakes.
    @Suite(.serialized)
    struct UserFilesTests {
        @Test("Certificates, keys and CAs work in DER", .needs(.openssl))
        func der() async throws {
            try await Scenario.run { scenario in
                let made = try await Certificate.make(in: scenario)
                let folder = try scenario.folder("der")
                for (command, file, name) in [
                    ("x509", made.authority, "ca"), ("x509", made.certificate, "certificate"),
                    ("pkey", made.key, "key"),
                ] {
                    try await scenario.run(
                        .openssl,
                        [command, "-in", file, "-outform", "DER", "-out", "\(folder)/\(name)"]
                    )
                }
                let server = try await scenario.server(
                    options: ["--tls-certificate", "\(folder)/certificate", "--tls-key", "\(folder)/key"]
                )
                try await scenario.expectPage(
                    from: "wss://localhost:\(server.port)",
                    ["--ca", "\(folder)/ca", "--ca-only"]
                )
            }
        }

        @Test(
            "A8 a readable configuration with a secret causes a warning",
            arguments: zip(
                [
                    "token = \"a token of more than 22 characters\"", "proxy_user = \"me:s3cret\"",
                    "proxy = [\"none\", \"http://me:s3cret@h:1\"]", "proxy_user = \"me\"", "proxy_user = \":\"",
                    "proxy = \"http://me@h:1\"", "token_file = \"FILE\"",
                ],
                [true, true, true, false, false, false, false]
            )
        )
        func readableConfiguration(line: String, causesWarning: Bool) async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/client.toml"
                let rest = "url = \"ws://h\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"
                try scenario.write(line.replacing("FILE", with: scenario.tokenFile) + "\n" + rest, to: file)
                for (mode, expected) in [(0o644, causesWarning), (0o640, causesWarning), (0o600, false)] {
                    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
                    let process = try scenario.culvert("check", ["check", "--config", file])
                    #expect(try await process.exitStatus() == .exited(0), "\(process)")
                    let warning =
                        "culvert: warning: others on this machine can read the configuration file \(file); chmod 600 it"
                    #expect(process.errors.lines == (expected ? [warning] : []), "\(process)")
                }
            }
        }

        @Test("A configuration with verifiers causes a warning if others can read it, and none if only its group can")
        func readableVerifiers() async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/server.toml"
                let token = try scenario.culvert("token", ["token", "--from", scenario.tokenFile])
                _ = try await token.exitStatus()
                let verifier = try #require(token.output.lines.last?.split(separator: " ").last)
                try scenario.write("[[client]]\nname = \"a\"\nverifier = \"\(verifier)\"\n", to: file)
                for (mode, causesWarning) in [(0o644, true), (0o660, true), (0o640, false), (0o600, false)] {
                    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
                    let process = try scenario.culvert("check", ["check", "--config", file])
                    #expect(try await process.exitStatus() == .exited(0), "\(process)")
                    let warning =
                        "culvert: warning: others on this machine can read the configuration file \(file); chmod 640 it"
                    #expect(process.errors.lines == (causesWarning ? [warning] : []), "\(process)")
                }
            }
        }

        @Test("A key of another certificate fails check and start, and the error has its line", .needs(.openssl))
        func foreignKey() async throws {
            try await Scenario.run { scenario in
                let made = try await Certificate.make(in: scenario)
                let key = "\(scenario.directory)/other-key"
                try await scenario.run(
                    .openssl,
                    ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]
                )
                let file = "\(scenario.directory)/server.toml"
                try scenario.write("tls_certificate = \"\(made.certificate)\"\ntls_key = \"\(key)\"\n", to: file)
                let says = "\(file):2: tls_key: the key in \(key) does not belong to the certificate in"
                for (command, line) in [("check", says), ("server", "culvert: " + says)] {
                    let process = try scenario.culvert(command, [command, "--config", file])
                    #expect(try await process.exitStatus() == .exited(65), "\(process)")
                    #expect(process.errors.lines.contains { $0.hasPrefix(line) }, "\(process)")
                }
            }
        }

        @Test("check prints each mistake on its own line, and a start prints the first")
        func allMistakes() async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/client.toml"
                try scenario.write(
                    "url = \"ws://h\"\r\nproxi = \"none\"\r\n[[ tunnel ]]\r\nremote = 8022\r\nlocal = \"x:1\"\r\n",
                    to: file
                )
                let says = [
                    "\(file):2: proxi: unknown key; did you mean proxy?",
                    "\(file):4: tunnel.remote: expected a string, in quotes",
                ]
                let check = try scenario.culvert("check", ["check", "--config", file])
                #expect(try await check.exitStatus() == .exited(78), "\(check)")
                #expect(check.errors.lines == says && check.output.lines.isEmpty, "\(check)")
                let start = try scenario.culvert("client", ["client", "--config", file])
                #expect(try await start.exitStatus() == .exited(78), "\(start)")
                let more = " (and 1 more: `culvert check --config \(file)` lists them)"
                #expect(start.errors.lines == ["culvert: \(says[0])\(more)"], "\(start)")
            }
        }

        @Test("--netrc with a missing file causes a warning, and with an unreadable or malformed file an error")
        func netrc() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let proxy = try ScriptedProxy.open()
                let options = ["--proxy", proxy.url, "--netrc"]
                for (environment, path) in [
                    ([:], "\(scenario.directory)/.netrc"), (["NETRC": "/no/such/netrc"], "/no/such/netrc"),
                ] {
                    let client = try await scenario.expectPage(from: server.url, options, environment: environment)
                    let warnings = client.process.errors.lines.filter { $0.hasPrefix("culvert: warning: --netrc: ") }
                    #expect(warnings.count == 1 && warnings[0].contains(path), "\(client.process)")
                    await client.process.end()
                }
                let folder = try await scenario.expectEnd(
                    78,
                    from: server.url,
                    options,
                    environment: ["NETRC": scenario.directory]
                )
                expect(folder, says: "netrc file \(scenario.directory)")
                let file = "\(scenario.directory)/malformed"
                try scenario.write("machine\n", to: file)
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
                let malformed = try await scenario.expectEnd(
                    65,
                    from: server.url,
                    options,
                    environment: ["NETRC": file]
                )
                expect(malformed, says: file)
            }
        }
    }
}
