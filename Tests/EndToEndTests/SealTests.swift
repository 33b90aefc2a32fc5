import Foundation
import Seal
import TestSupport
import Testing

extension EndToEnd {
    /// The key of the server, as users meet it: first contact, pins, a change, and the ends that do not agree.
    @Suite(.serialized)
    struct SealTests {
        private static let required = ["--encryption", "required"]

        /// The server with a key in a file of the test.
        private func server(
            _ scenario: Scenario,
            _ name: String,
            port: UInt16 = 0,
            _ options: String...
        ) async throws -> (CulvertServer, ServerPublicKey) {
            let path = "\(scenario.directory)/\(name).key"
            let server = try await scenario.server(port: port, options: ["--key-file", path] + options)
            let key = try #require(ServerKey(text: try String(contentsOfFile: path, encoding: .utf8)))
            return (server, key.publicKey)
        }

        @Test(
            "A client remembers the key of its first session, in a line of known_servers, and both ends show the seal"
        )
        func firstContact() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, key) = try await server(scenario, "first")
                for round in 1...2 {
                    let client = try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"], options: Self.required)
                    try await expectEcho(through: try await client.tunnel(to: echo.port))
                    let known = try String(
                        contentsOfFile: "\(scenario.stateHome)/culvert/known_servers",
                        encoding: .utf8
                    )
                    #expect(known == "127.0.0.1:\(server.port) \(key.text)\n", "run \(round)")
                    for process in [server.process, client.process] {
                        _ = try await process.logLine {
                            $0.contains("session opened") && $0.contains("sealed=\(key.fingerprint)")
                        }
                    }
                    await client.process.end()
                }
            }
        }

        @Test("Another key ends a client with 77 and says how to compare, at the start and after a session has worked")
        func changedKey() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (first, old) = try await server(scenario, "old")
                let client = try scenario.client(first.url, ["0:127.0.0.1:\(echo.port)"], options: Self.required)
                try await expectEcho(through: try await client.tunnel(to: echo.port))
                await first.process.kill()
                let (second, new) = try await server(scenario, "new", port: first.port)
                #expect(try await client.process.exitStatus() == .exited(77))
                let late = try scenario.client(second.url, ["0:127.0.0.1:\(echo.port)"], options: Self.required)
                #expect(try await late.process.exitStatus() == .exited(77))
                for process in [client.process, late.process] {
                    let line = try #require(process.errors.lines.last { $0.hasPrefix("culvert: ") })
                    for part in [
                        "THE SERVER'S KEY HAS CHANGED", new.fingerprint, old.fingerprint, "culvert key",
                        "known_servers",
                    ] {
                        #expect(line.contains(part), "\(part)")
                    }
                }
            }
        }

        @Test("A server whose line in known_servers is damaged is no first contact: the client ends with 77")
        func damagedLine() async throws {
            try await Scenario.run { scenario in
                let (server, key) = try await server(scenario, "first")
                let folder = "\(scenario.stateHome)/culvert"
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try scenario.write("127.0.0.1:\(server.port) \(key.text.dropLast(9))\n", to: "\(folder)/known_servers")
                let client = try scenario.client(server.url, ["0:127.0.0.1:9"], options: Self.required)
                #expect(try await client.process.exitStatus() == .exited(77))
                #expect(client.process.errors.text.contains("known_servers"))
            }
        }

        @Test("A pin takes the place of what is remembered, any of several is right, and a rotation costs nothing")
        func pins() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (first, old) = try await server(scenario, "old")
                let next = ServerKey()
                let port = try FreePorts.next()
                let wrong = try scenario.client(
                    first.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: Self.required + ["--server-key", next.publicKey.text]
                )
                #expect(try await wrong.process.exitStatus() == .exited(77))
                #expect(wrong.process.errors.text.contains("is not the one of --server-key"))
                let client = try scenario.client(
                    first.url,
                    ["\(port):127.0.0.1:\(echo.port)"],
                    options: Self.required + ["--server-key", next.publicKey.text, "--server-key", old.text]
                )
                _ = try await client.tunnel(to: echo.port)
                try await expectEcho(through: port)
                await first.process.kill()
                let path = "\(scenario.directory)/next.key"
                try scenario.write(next.text, to: path)
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
                let (second, _) = try await server(scenario, "next", port: first.port)
                _ = try await second.process.logLine { $0.contains("sealed=\(next.publicKey.fingerprint)") }
                _ = try await second.process.logLine { $0.contains("port is public") }
                try await expectEcho(through: port)
                #expect(!FileManager.default.fileExists(atPath: "\(scenario.stateHome)/culvert/known_servers"))
            }
        }

        @Test("Ends that do not agree on the seal end with 77 and a remedy; off at both ends works")
        func disagreement() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let remote = "0:127.0.0.1:\(echo.port)"
                let (strict, _) = try await server(scenario, "strict", "--encryption", "required")
                let bare = try scenario.client(strict.url, [remote], options: ["--encryption", "off"])
                #expect(try await bare.process.exitStatus() == .exited(77))
                #expect(bare.process.errors.text.contains("give --encryption auto or required"))
                let plain = try await scenario.server(options: ["--encryption", "off"])
                let sealed = try scenario.client(plain.url, [remote], options: Self.required)
                #expect(try await sealed.process.exitStatus() == .exited(77))
                #expect(sealed.process.errors.text.contains("the server does not seal sessions"))
                let client = try scenario.client(plain.url, [remote], options: ["--encryption", "off"])
                try await expectEcho(through: try await client.tunnel(to: echo.port))
                _ = try await client.process.logLine { $0.contains("session opened") && $0.contains("sealed=no") }
            }
        }

        // MARK: auto

        @Test("auto seals through a proxy and with a pinned key, and not to a loopback address without them")
        func auto() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, key) = try await server(scenario, "auto")
                let proxy = try ScriptedProxy.open()
                for (options, sealed) in [
                    (["--proxy", proxy.url], key.fingerprint), (["--proxy", "none"], "no"),
                    (["--proxy", "none", "--server-key", key.text], key.fingerprint),
                ] {
                    let lines = server.process.errors.lines.count { $0.contains("session opened") }
                    let client = try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"], options: options)
                    try await expectEcho(through: try await client.tunnel(to: echo.port))
                    let opened = try await server.process.logLine(skip: lines) { $0.contains("session opened") }
                    #expect(opened.contains("sealed=\(sealed)"), "\(options): \(opened)")
                    let line = try await client.process.logLine { $0.contains("session opened") }
                    #expect(line.contains("sealed=\(sealed)"), "\(options): \(line)")
                    await client.process.end()
                }
                #expect(proxy.accepted > 0)
            }
        }

        @Test("A session that auto seals is not compressed, and the client warns of that")
        func compression() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, key) = try await server(scenario, "compressed")
                let warning = "the session is sealed, and therefore not compressed"
                for (options, isWarned) in [(["--server-key", key.text], true), ([], false)] {
                    let client = try scenario.client(
                        server.url,
                        ["0:127.0.0.1:\(echo.port)"],
                        options: ["--compress"] + options
                    )
                    try await expectEcho(through: try await client.tunnel(to: echo.port))
                    #expect(client.process.errors.lines.count { $0.contains(warning) } == (isWarned ? 1 : 0))
                    await client.process.end()
                }
            }
        }

        // MARK: What is remembered and shown

        @Test("The status of both ends has the key of a sealed session, and the client's page a column of it")
        func status() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let places = ["server", "client"].map { "unix:\(scenario.directory)/\($0).sock" }
                let (server, key) = try await server(scenario, "status", "--admin", places[0])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: Self.required + ["--admin", places[1]]
                )
                try await expectEcho(through: try await client.tunnel(to: echo.port))
                for place in places {
                    let text = try await Self.status(place, "--json", in: scenario)
                    #expect(text.contains("\"sealed_with\" : \"\(key.fingerprint)\""), "\(text)")
                }
                let lines = try await Self.status(places[1], in: scenario).split(separator: "\n").map(String.init)
                let head = try #require(lines.firstIndex { $0.contains("SEALED") }, "\(lines)")
                let before = lines[head].prefix(upTo: try #require(lines[head].firstRange(of: "SEALED")).lowerBound)
                let row = try #require(lines.dropFirst(head + 1).first)
                #expect(row.dropFirst(before.count).hasPrefix(key.fingerprint + " "), "\(lines[head])\n\(row)")
            }
        }

        /// What `culvert status` prints of an end.
        private static func status(_ place: String, _ options: String..., in scenario: Scenario) async throws -> String
        {
            let process = try scenario.culvert("status", ["status", "--admin", place] + options)
            #expect(try await process.exitStatus() == .exited(0), "\(process)")
            return process.output.text
        }

        @Test("Without a folder for its state a client works, and warns that it remembers the key for this run only")
        func withoutState() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, key) = try await server(scenario, "first")
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: Self.required,
                    environment: ["HOME": "", "XDG_STATE_HOME": "", "STATE_DIRECTORY": ""]
                )
                try await expectEcho(through: try await client.tunnel(to: echo.port))
                let line = try await client.process.logLine { $0.contains("the file of known servers has a problem") }
                #expect(line.contains("remembered for this run only") && line.contains("set HOME"), "\(line)")
                // It does remember it in this run.
                await server.process.kill()
                let (_, other) = try await self.server(scenario, "second", port: server.port)
                #expect(try await client.process.exitStatus() == .exited(77))
                expect(client.process.errors.text, says: "KEY HAS CHANGED", key.fingerprint, other.fingerprint)
            }
        }

        @Test("A server is known by the URL's host and port, also the default one, wherever the client connects to")
        func connectTo() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, key) = try await server(scenario, "first")
                for url in ["ws://tunnel.test:8443/tunnel", "ws://tunnel.test", "ws://[2001:db8::7]"] {
                    let client = try scenario.client(
                        url,
                        ["0:127.0.0.1:\(echo.port)"],
                        options: ["--connect-to", "127.0.0.1:\(server.port)"] + Self.required
                    )
                    try await expectEcho(through: try await client.tunnel(to: echo.port))
                    await client.process.end()
                }
                let known = try String(contentsOfFile: "\(scenario.stateHome)/culvert/known_servers", encoding: .utf8)
                let names = ["tunnel.test:8443", "tunnel.test:80", "[2001:db8::7]:80"]
                #expect(known == names.map { "\($0) \(key.text)\n" }.joined())
            }
        }
    }
}
