import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Authentication of clients, and the secrecy of tokens.
    @Suite(.serialized)
    struct AuthenticationTests {
        static let other = "another-token-of-thirty-chars-0"

        @Test("A wrong token ends the client with 77 and a line that names it, and the server logs the refusal")
        func wrongToken() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let wrong = "\(scenario.directory)/wrong"
                try scenario.write(Self.other, to: wrong)
                let process = try scenario.culvert(
                    "client",
                    ["client", server.url, "--token-file", wrong, "-R", "0:localhost:9"]
                )
                #expect(try await process.exitStatus() == .exited(77))
                #expect(process.errors.text.contains("token"), "\(process)")
                #expect(process.output.lines.isEmpty)
                _ = try await server.process.logLine { $0.contains("127.0.0.1") && $0.lowercased().contains("refus") }
                for log in [process.errors.text, server.process.errors.text, server.process.output.text] {
                    #expect(!log.contains(Self.other))
                    #expect(!log.contains(scenario.token))
                }
            }
        }

        @Test("A client without a token is refused by a server with one, as with a wrong token")
        func noToken() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let process = try scenario.culvert("client", ["client", server.url, "-R", "0:localhost:9"])
                let status = try await process.exitStatus()
                #expect(status == .exited(77) || status == .exited(78), "\(process)")
                #expect(process.errors.text.contains("token"), "\(process)")
            }
        }

        @Test("A10 the token is taken from CULVERT_TOKEN, and a wrong one there is refused")
        func environment() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let arguments = ["client", server.url, "-R", "0:127.0.0.1:\(echo.port)"]
                let right = CulvertClient(
                    process: try scenario.culvert("right", arguments, environment: ["CULVERT_TOKEN": scenario.token])
                )
                try await expectEcho(through: right.tunnel(to: echo.port))
                let wrong = try scenario.culvert("wrong", arguments, environment: ["CULVERT_TOKEN": Self.other])
                #expect(try await wrong.exitStatus() == .exited(77))
            }
        }

        @Test("CULVERT_TOKEN wins over the configuration's token_file, and --token-file wins over CULVERT_TOKEN")
        func environmentOrder() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let configuration = scenario.directory + "/client.toml"
                try scenario.write("token_file = \"\(scenario.tokenFile)\"\n", to: configuration)
                let arguments = ["client", server.url, "-R", "0:127.0.0.1:9"]
                let environment = ["CULVERT_TOKEN": Self.other]
                let refused = try scenario.culvert(
                    "environment",
                    arguments + ["--config", configuration],
                    environment: environment
                )
                #expect(try await refused.exitStatus() == .exited(77))
                let accepted = try scenario.culvert(
                    "flag",
                    arguments + ["--token-file", scenario.tokenFile],
                    environment: environment
                )
                _ = try await CulvertClient(process: accepted).tunnel(to: 9)
            }
        }

        @Test("A8 A9 the token is in no output and no process list, even at the level trace")
        func secrecy() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(options: ["--log-level", "trace"])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--log-level", "trace"]
                )
                try await expectEcho(through: client.tunnel(to: echo.port))
                for process in [server.process, client.process] {
                    #expect(try !process.visibleArguments.contains(scenario.token))
                    await process.end()
                    #expect(!process.output.text.contains(scenario.token))
                    #expect(!process.errors.text.contains(scenario.token))
                    #expect(!process.errors.text.isEmpty)
                }
            }
        }

        @Test("A10 a server without a token listens only on loopback: otherwise it exits with 78 and the reason")
        func openServer() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let process = try scenario.culvert("server", ["server", "--listen", "0.0.0.0:\(port)"])
                #expect(try await process.exitStatus() == .exited(78))
                #expect(process.errors.text.contains("token"), "\(process)")
                #expect(process.output.lines.isEmpty)
            }
        }

        @Test("A server on loopback without a token serves clients without one, with public ports on loopback only")
        func loopback() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try scenario.culvert("server", ["server", "--listen", "127.0.0.1:0"])
                let line = try await server.line { $0.hasPrefix("listening ") }
                let client = CulvertClient(
                    process: try scenario.culvert(
                        "client",
                        ["client", String(line.dropFirst("listening ".count)), "-R", "0:127.0.0.1:\(echo.port)"]
                    )
                )
                let port = try await client.tunnel(to: echo.port)
                try await expectEcho(through: port)
                let listeners = listeningAddresses(on: port)
                #expect(!listeners.isEmpty && listeners.allSatisfy { $0 == "0100007F" || $0.hasSuffix("01000000") })
            }
        }

        @Test("Culvert token prints a token and its verifier, and --from prints the same verifier")
        func tokenCommand() async throws {
            try await Scenario.run { scenario in
                let fresh = try scenario.culvert("token", ["token"])
                #expect(try await fresh.exitStatus() == .exited(0))
                let text = fresh.output.text
                let token = try #require(
                    text.split(whereSeparator: { " \n\"".contains($0) }).first {
                        $0.utf8.count >= 22 && !$0.contains("$")
                    }
                )
                #expect(text.contains("verifier"), "\(text)")
                let file = "\(scenario.directory)/new-token"
                try scenario.write(token + "\n", to: file)
                let again = try scenario.culvert("token", ["token", "--from", file])
                #expect(try await again.exitStatus() == .exited(0))
                let verifier = try #require(fresh.output.lines.last { $0.contains("verifier") })
                #expect(again.output.lines.contains(verifier), "\(again.output.text) lacks \(verifier)")
            }
        }

        @Test("Culvert token --out makes a file of its user alone, prints only the verifier, and overwrites nothing")
        func tokenFile() async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/made-token"
                let made = try scenario.culvert("token", ["token", "--out", file])
                #expect(try await made.exitStatus() == .exited(0))
                let attributes = try FileManager.default.attributesOfItem(atPath: file)
                #expect(attributes[.posixPermissions] as? Int == 0o600)
                let read = try scenario.culvert("token", ["token", "--from", file])
                #expect(try await read.exitStatus() == .exited(0))
                #expect(made.output.lines.count == 1 && made.output.lines == read.output.lines)
                let before = try String(contentsOfFile: file, encoding: .utf8)
                #expect(!made.output.text.contains(before.trimmingCharacters(in: .newlines)))
                let again = try scenario.culvert("token", ["token", "--out", file])
                #expect(try await again.exitStatus() == .exited(78))
                expect(again.errors.text, says: "\(file) exists, and is not overwritten")
                #expect(try String(contentsOfFile: file, encoding: .utf8) == before && again.output.lines.isEmpty)
                let nowhere = try scenario.culvert("token", ["token", "--out", "\(scenario.directory)/none/token"])
                #expect(try await nowhere.exitStatus() == .exited(78))
                expect(nowhere.errors.text, says: "cannot be made", "choose a folder that you can write")
                let files = try FileManager.default.contentsOfDirectory(atPath: scenario.directory)
                #expect(files.filter { $0.hasPrefix("made-token") } == ["made-token"], "no draft is left")
            }
        }

        @Test("A22 a verifier in the server's configuration admits its token, to its own ports only")
        func verifier() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let command = try scenario.culvert("token", ["token", "--from", scenario.tokenFile])
                #expect(try await command.exitStatus() == .exited(0))
                let line = try #require(command.output.lines.last { $0.contains("verifier") })
                let verifier = line.replacingOccurrences(of: "verifier", with: "")
                    .trimmingCharacters(in: CharacterSet(charactersIn: " =\""))
                let (allowed, forbidden) = (try FreePorts.next(), try FreePorts.next())
                let file = "\(scenario.directory)/server.toml"
                try scenario.write(
                    """
                    listen = ["127.0.0.1:0"]
                    public_address = "127.0.0.1"

                    [[client]]
                    name = "laptop"
                    verifier = "\(verifier)"
                    allow_ports = "\(allowed)"

                    """,
                    to: file
                )
                let server = try scenario.culvert("server", ["server", "--config", file])
                let url = try await server.line { $0.hasPrefix("listening ") }.dropFirst("listening ".count)
                let client = try scenario.client(String(url), ["\(allowed):127.0.0.1:\(echo.port)"])
                try await expectEcho(through: client.tunnel(to: echo.port))
                let unpermitted = try scenario.client(
                    String(url),
                    ["\(forbidden):127.0.0.1:\(echo.port)"],
                    options: ["--name", "unpermitted"]
                )
                #expect(try await unpermitted.process.exitStatus() == .exited(77))
                #expect(unpermitted.process.errors.text.contains("\(forbidden)"), "\(unpermitted.process)")
            }
        }

        @Test("Ports outside --allow-ports and below 1024 end the client with 77", arguments: ["80", "29000"])
        func portNotAllowed(_ port: String) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(options: ["--allow-ports", "30000-31000"])
                let client = try scenario.client(server.url, ["\(port):localhost:9"])
                #expect(try await client.process.exitStatus() == .exited(77))
                let log = client.process.errors.text
                #expect(log.contains(port) && log.contains("30000-31000"), "\(log)")
            }
        }

        @Test("P1 P10 a client cannot widen the server's public address")
        func bindCannotWiden() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let client = try scenario.client(server.url, ["0.0.0.0:0:localhost:9"])
                #expect(try await client.process.exitStatus() == .exited(77))
            }
        }
    }
}

/// The local addresses of a listening port, in the form of /proc/net/tcp.
private func listeningAddresses(on port: UInt16) -> [String] {
    let digits = String(port, radix: 16, uppercase: true)
    let wanted = String(repeating: "0", count: 4 - digits.count) + digits
    return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { file in
        let table = String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
        return table.split(separator: "\n").compactMap { line -> String? in
            let columns = line.split(separator: " ")
            guard columns.count > 3, columns[3] == "0A" else { return nil }
            let local = columns[1].split(separator: ":")
            return local.last.map(String.init) == wanted ? local.first.map(String.init) : nil
        }
    }
}
