import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Clients are added, rotated and revoked by commands, while the server runs.
    @Suite(.serialized)
    struct ClientChangeTests {
        private static func configuration(_ scenario: Scenario) throws -> (file: String, admin: String) {
            let (file, admin) = ("\(scenario.directory)/server.toml", "unix:\(scenario.directory)/admin.sock")
            try scenario.write(
                """
                # kept
                listen = "127.0.0.1:0"
                public_address = "127.0.0.1"
                admin = "\(admin)"

                [[client]]
                name = "other"
                verifier = "culvert1:051236aa502be0de9c4812e52fa85259:\
                1785ac6e570854572931ff206eecff8080c21902d7aab1ce8a46e3b5c5102cfc:\
                711fedc05a1ac8b8eb825944ada1d708b9d24481c31e1e17317cba2587eb4af6"

                """,
                to: file
            )
            chmod(file, 0o640)
            return (file, admin)
        }

        /// Runs a command to its end, and returns its lines.
        @discardableResult
        private static func run(
            _ scenario: Scenario,
            _ arguments: [String],
            exits code: Int32 = 0
        ) async throws -> (output: [String], errors: String) {
            let process = try scenario.culvert(arguments[0], arguments)
            #expect(try await process.exitStatus() == .exited(code), "\(arguments): \(process.errors.text)")
            return (process.output.lines, process.errors.text)
        }

        @Test(
            "A client that was added connects at once; its token is rotated without a refusal; revoked, it is disconnected"
        )
        func life() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (file, admin) = try Self.configuration(scenario)
                let server = try scenario.culvert("server", ["server", "--config", file])
                let listening = try await server.line { $0.hasPrefix("listening ") }
                let url = String(listening.dropFirst("listening ".count))
                let token = "\(scenario.directory)/laptop-token"
                let change = ["--config", file, "--admin", admin]
                let port = try FreePorts.next()
                let added = try await Self.run(
                    scenario,
                    ["client-add", "laptop", "--allow-ports", "\(port)", "--allow-names", "*.al.example.com"]
                        + ["--token-out", token] + change
                )
                #expect(added.output.contains("client laptop added"))
                #expect(added.output.last?.contains("--token-file token -R \(port):localhost:22") == true)
                let text = try String(contentsOfFile: file, encoding: .utf8)
                let secret = try String(contentsOfFile: token, encoding: .utf8)
                #expect(text.contains("allow_names = [\"*.al.example.com\"]\n"))
                #expect(text.hasPrefix("# kept\n") && !text.contains(secret.trimmingCharacters(in: .newlines)))
                let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
                #expect(mode == 0o640)

                func client(_ token: String) throws -> ChildProcess {
                    try scenario.culvert(
                        "client",
                        ["client", url, "--token-file", token, "-R", "\(port):127.0.0.1:\(echo.port)"]
                    )
                }
                let first = try client(token)
                _ = try await first.line { $0.hasPrefix("tunnel ") }
                try await expectEcho(through: port)

                let next = "\(scenario.directory)/next-token"
                try await Self.run(scenario, ["client-rotate", "laptop", "--token-out", next] + change)
                try await expectEcho(through: port)
                // Killed without an end of its session, it gets its port back under the new token.
                await first.kill()
                let second = try client(next)
                _ = try await second.line { $0.hasPrefix("tunnel ") }
                try await expectEcho(through: port)
                let again = try await Self.run(scenario, ["client-rotate", "laptop"] + change, exits: 64)
                #expect(again.errors.contains("laptop has two tokens"))
                let finished = try await Self.run(scenario, ["client-rotate", "laptop", "--finish"] + change)
                #expect(finished.output == ["client laptop changed: a token is not accepted any more"])
                try await expectEcho(through: port)
                let old = try scenario.culvert(
                    "client",
                    ["client", url, "--token-file", token, "-R", "\(port):127.0.0.1:\(echo.port)"]
                )
                #expect(try await old.exitStatus() == .exited(77))

                let revoked = try await Self.run(scenario, ["client-revoke", "laptop"] + change)
                #expect(revoked.output == ["client laptop removed"])
                try await eventually("the client is disconnected") {
                    second.errors.text.contains("the operator has removed this client's token")
                        || second.errors.text.contains("does not accept this token")
                }
                #expect(try String(contentsOfFile: file, encoding: .utf8).contains("laptop") == false)
            }
        }

        @Test("Changes at the same time wait for each other; what is no file, or has a name twice, is left alone")
        func locks() async throws {
            try await Scenario.run { scenario in
                let (file, _) = try Self.configuration(scenario)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<6 {
                        group.addTask {
                            try await Self.run(
                                scenario,
                                ["client-add", "c\(number)", "--config", file, "--no-reload"]
                            )
                        }
                    }
                    try await group.waitForAll()
                }
                let text = try String(contentsOfFile: file, encoding: .utf8)
                for number in 0..<6 { #expect(text.contains("name = \"c\(number)\"")) }
                let device = try await Self.run(scenario, ["client-add", "x", "--config", "/dev/zero"], exits: 78)
                #expect(device.errors.contains("is not a regular file"))
                let entry = text.components(separatedBy: "[[client]]").last ?? ""
                let token = try scenario.culvert("token", ["token"])
                #expect(try await token.exitStatus() == .exited(0))
                let verifier = try #require(token.output.lines.last).dropFirst("verifier ".count)
                try scenario.write(text + "\n[[client]]\nname = \"c5\"\nverifier = \"\(verifier)\"\n", to: file)
                let twice = try await Self.run(scenario, ["client-revoke", "c5", "--config", file], exits: 78)
                #expect(!entry.isEmpty && twice.errors.contains("several clients c5"))
            }
        }

        @Test("A configuration that others can read is changed with a warning that names it, and it keeps its mode")
        func warns() async throws {
            try await Scenario.run { scenario in
                let (file, _) = try Self.configuration(scenario)
                #expect(chmod(file, 0o644) == 0)
                let added = try await Self.run(scenario, ["client-add", "x", "--config", file, "--no-reload"])
                #expect(added.errors.contains("can read the configuration file \(file); chmod 640 it"))
                #expect(!added.errors.contains("\(file)."), "the draft is not named")
                var status = stat()
                #expect(stat(file, &status) == 0 && status.st_mode & 0o7777 == 0o644)
            }
        }

        @Test("A configuration with a mistake is not changed, and a reload of it changes nothing and says why")
        func mistakes() async throws {
            try await Scenario.run { scenario in
                let (file, admin) = try Self.configuration(scenario)
                let server = try scenario.culvert("server", ["server", "--config", file])
                _ = try await server.line { $0.hasPrefix("listening ") }
                let unchanged = try await Self.run(scenario, ["reload", "--admin", admin])
                #expect(unchanged.output == ["reloaded; nothing has changed"])
                let good = try String(contentsOfFile: file, encoding: .utf8)
                try scenario.write(good + "[limits]\nstreams = -1\n", to: file)
                let bad = try String(contentsOfFile: file, encoding: .utf8)
                let refused = try await Self.run(scenario, ["reload", "--admin", admin], exits: 78)
                #expect(refused.errors.contains("nothing has changed") && refused.errors.contains("limits.streams"))
                let added = try await Self.run(scenario, ["client-add", "x", "--config", file], exits: 78)
                #expect(added.errors.contains("limits.streams") && added.output.isEmpty)
                #expect(try String(contentsOfFile: file, encoding: .utf8) == bad)
                let unknown = try await Self.run(
                    scenario,
                    ["client-revoke", "othr", "--config", file],
                    exits: 78
                )
                #expect(unknown.errors.contains("limits.streams"))
                try scenario.write(good, to: file)
                let near = try await Self.run(scenario, ["client-revoke", "othr", "--config", file], exits: 64)
                #expect(near.errors.contains("did you mean other?"))
                let files = try FileManager.default.contentsOfDirectory(atPath: scenario.directory)
                #expect(files.filter { $0.hasPrefix("server.toml") } == ["server.toml"], "no draft is left")
            }
        }
    }
}
