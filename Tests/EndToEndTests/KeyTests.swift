import Foundation
import Seal
import TestSupport
import Testing

extension EndToEnd {
    /// `culvert key`, and the key that a server makes.
    @Suite(.serialized)
    struct KeyTests {
        /// Runs `culvert key`, which must succeed.
        private func key(_ scenario: Scenario, _ arguments: String...) async throws -> (
            lines: [String], errors: [String]
        ) {
            let process = try scenario.culvert("key", ["key"] + arguments)
            #expect(try await process.exitStatus() == .exited(0), "\(process)")
            return (process.output.lines, process.errors.lines)
        }

        @Test("it makes the key if there is none, and prints the public key and its fingerprint, each time the same")
        func prints() async throws {
            try await Scenario.run { scenario in
                let path = "\(scenario.stateHome)/culvert/server.key"
                let first = try await key(scenario)
                #expect(first.errors == ["culvert: \(path) was made, with a new key"])
                let text = try String(contentsOfFile: path, encoding: .utf8)
                let made = try #require(ServerKey(text: text))
                let fingerprint = made.publicKey.fingerprint
                #expect(first.lines == [made.publicKey.text, "fingerprint \(fingerprint)"])
                #expect(fingerprint.wholeMatch(of: /[0-9A-Z]{4}(-[0-9A-Z]{4}){4}/) != nil)
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
                #expect(mode == 0o600)
                let second = try await key(scenario)
                #expect(second.lines == first.lines && second.errors.isEmpty)
            }
        }

        @Test("--key-file and the key_file of --config name another file, which a server with the same flag reads")
        func places() async throws {
            try await Scenario.run { scenario in
                let (flag, named) = ("\(scenario.directory)/flag.key", "\(scenario.directory)/named.key")
                let config = "\(scenario.directory)/server.toml"
                try scenario.write("key_file = \"\(named)\"\n", to: config)
                let lines = [
                    try await key(scenario, "--key-file", flag).lines,
                    try await key(scenario, "--config", config).lines,
                ]
                #expect(lines[0] != lines[1])
                #expect(try await key(scenario, "--config", config, "--key-file", flag).lines == lines[0])
                #expect(!FileManager.default.fileExists(atPath: scenario.stateHome))
                try scenario.write("path = \"/x\"\n", to: config)
                #expect(try await key(scenario, "--config", config).errors.count == 1, "the state folder has none yet")
            }
        }

        @Test("an error names the file and a remedy, and never a private key")
        func mistakes() async throws {
            try await Scenario.run { scenario in
                let path = "\(scenario.directory)/server.key"
                let secret = ServerKey().text
                let config = "\(scenario.directory)/client.toml"
                try scenario.write("url = \"ws://h\"\n", to: config)
                try scenario.write(secret + secret, to: "\(scenario.directory)/twice")
                try FileManager.default.setAttributes(
                    [.posixPermissions: 0o600],
                    ofItemAtPath: "\(scenario.directory)/twice"
                )
                try scenario.write(secret, to: path)
                for (arguments, words) in [
                    (["--key-file", path], "others on this machine can read the key file \(path); chmod 600 it"),
                    (
                        ["--key-file", "\(scenario.directory)/twice"],
                        "/twice does not hold one line culvert-private-key-1:"
                    ),
                    (["--key-file", "\(path)/x"], "\(path)/x cannot be read: Not a directory; choose a file"),
                    (["--config", config], "\(config) is a client's configuration"),
                    (["--config", "/no/such"], "/no/such cannot be read"),
                ] {
                    let process = try scenario.culvert("key", ["key"] + arguments)
                    #expect(try await process.exitStatus() == .exited(78), "\(process)")
                    #expect(process.errors.lines.count == 1 && process.output.lines.isEmpty, "\(process)")
                    expect(process.errors.lines.joined(), says: words)
                    #expect(process.errors.lines.allSatisfy { !$0.contains(secret.dropLast().suffix(44)) })
                }
            }
        }

        @Test("a server makes its key at the first start, and keeps it")
        func server() async throws {
            try await Scenario.run { scenario in
                let path = "\(scenario.stateHome)/culvert/server.key"
                let first = try await scenario.server()
                let text = try String(contentsOfFile: path, encoding: .utf8)
                await first.process.end()
                let lines = try await key(scenario).lines
                #expect(lines.first == ServerKey(text: text)?.publicKey.text)
                _ = try await scenario.server()
                #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
            }
        }

        @Test("servers that start at once have one key")
        func race() async throws {
            try await Scenario.run { scenario in
                let processes = try (1...4).map { try scenario.culvert("key \($0)", ["key"]) }
                var lines: Set<[String]> = []
                for process in processes {
                    #expect(try await process.exitStatus() == .exited(0), "\(process)")
                    lines.insert(process.output.lines)
                }
                #expect(lines.count == 1)
                let folder = "\(scenario.stateHome)/culvert"
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["server.key"])
            }
        }

        @Test("a server that cannot make its key warns once and runs, and with required it exits with 78")
        func unusable() async throws {
            try await Scenario.run { scenario in
                // A file in the way stops root too.
                try scenario.write("", to: scenario.stateHome)
                let server = try await scenario.server()
                let says = "sessions are not sealed, because the server has no key"
                _ = try await server.process.logLine { $0.contains(says) }
                #expect(server.process.errors.lines.filter { $0.contains(says) }.count == 1)
                let process = try scenario.culvert(
                    "required",
                    ["server", "--listen", "127.0.0.1:0", "--encryption", "required"]
                )
                #expect(try await process.exitStatus() == .exited(78), "\(process)")
                expect(
                    process.errors.lines.joined(),
                    says: "\(scenario.stateHome)/culvert/server.key cannot be read: Not a directory"
                )
            }
        }

        @Test("encryption off makes no file, and neither does the demo")
        func none() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(options: ["--encryption", "off"])
                #expect(!FileManager.default.fileExists(atPath: scenario.stateHome))
                await server.process.end()
                let demo = try scenario.culvert("demo", ["demo", "--once"])
                #expect(try await demo.exitStatus() == .exited(0), "\(demo)")
                #expect(!FileManager.default.fileExists(atPath: scenario.stateHome))
                #expect(!FileManager.default.fileExists(atPath: "\(scenario.directory)/.local"))
            }
        }
    }
}
