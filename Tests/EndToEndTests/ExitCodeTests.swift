import Crypto
import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The exit codes of README, and their error lines.
    @Suite(.serialized)
    struct ExitCodeTests {
        struct Row: Sendable, CustomTestStringConvertible {
            let arguments: [String]
            let code: Int32
            /// Texts that standard error must contain.
            let says: [String]

            init(_ arguments: [String], _ code: Int32, _ says: String...) {
                (self.arguments, self.code, self.says) = (arguments, code, says)
            }

            var testDescription: String { "culvert \(arguments.joined(separator: " ")) -> \(code)" }
        }

        static let dead = "ws://127.0.0.1:1"

        static let rows = [
            Row(["dance"], 64, "dance"),
            Row(["client", dead, "-R", "8022:22", "--no-such-flag"], 64, "--no-such-flag"),
            Row(
                ["client", dead, "-R", "8022:22", "--token-fil", "s3cret"],
                64,
                "unknown option --token-fil; did you mean --token-file?"
            ),
            Row(
                ["client", dead, "-R", "8022:22", "--token", "s3cret"],
                64,
                "there is no option --token,",
                "--token-file"
            ),
            Row(
                ["client", dead, "--remotes=s3cret", "-R", "8022:22"],
                64,
                "unknown option --remotes; did you mean --remote?"
            ),
            Row(
                ["client", dead, "-X", "8022:s3cret:22"],
                64,
                "unknown option -X"
            ),
            Row(["server", "--listne", "s3cret"], 64, "unknown option --listne; did you mean --listen?"),
            Row(["client", dead], 64, "-R"),
            Row(["client", "-R", "8022:localhost:22"], 64, "URL"),
            Row(["client", dead, "-R", "99999:localhost:22"], 64, "99999"),
            Row(["client", dead, "-R", "8022:localhost:0"], 64, "8022:localhost:0"),
            Row(["client", dead, "-R", "nonsense"], 64, "nonsense"),
            Row(["client", dead, "-R", "8022:local host:22"], 64),
            Row(["client", dead, "-R", "[::1:8022:localhost:22"], 64, "[::1:8022"),
            Row(["client", "ftp://127.0.0.1/", "-R", "8022:localhost:22"], 64, "ftp://"),
            Row(["client", dead, "-R", "8022:22", "--proxy", "gopher://x"], 64, "--proxy"),
            Row(["client", dead, "-R", "8022:22", "--token-file", "/no/such/file"], 78, "/no/such/file"),
            Row(["client", dead, "-L", "5432:a:1", "-D", "*:5432"], 78, "-D *:5432: the same", "-L 5432:a:1"),
            Row(["client", dead, "-R", "8022:22", "--token-file", "/"], 78, "token file /"),
            Row(["client", dead, "-R", "8022:22", "--ca", "/no/such/ca.pem"], 78, "/no/such/ca.pem"),
            Row(["client", dead, "-R", "8022:22", "--config", "/no/such/file.toml"], 78, "/no/such/file.toml"),
            // N27: the network is down, and the command line permits one try.
            Row(["client", dead, "-R", "8022:22", "--max-retries", "0"], 69, "127.0.0.1:1", "refused"),
            Row(
                ["client", dead, "-R", "8022:22", "--max-retries", "0", "--proxy", "http://127.0.0.1:2"],
                69,
                "proxy http://127.0.0.1:2",
                "refused"
            ),
            // N13: a name that does not exist. A lookup without an answer ends with the connect's timeout of 10 s.
            // Fixtures/dial has its error line.
            Row(
                ["client", "ws://no-such-host.invalid", "-R", "8022:22", "--max-retries", "0"],
                69,
                "no-such-host.invalid"
            ),
            Row(["server", "--listen", "not-an-address"], 78, "not-an-address"),
            Row(["server", "--listen", "127.0.0.1:0", "--token-file", "/no/such/file"], 78, "/no/such/file"),
            Row(
                ["server", "--listen", "127.0.0.1:0", "--tls-certificate", "/no/such.pem", "--tls-key", "/no"],
                78,
                "/no"
            ),
            Row(["server", "--config", "/no/such/file.toml"], 78, "/no/such/file.toml"),
            Row(["token", "--from", "/no/such/file"], 78, "/no/such/file"),
        ]

        @Test("A wrong command line ends with its code and a line that names the mistake", arguments: rows)
        func exitCode(_ row: Row) async throws {
            try await Scenario.run { scenario in
                let process = try scenario.culvert("culvert", row.arguments)
                let status = try await process.exitStatus()
                let allowed: [ProcessEnd] =
                    row.arguments.contains("not-an-address")
                    ? [.exited(64), .exited(78)] : [.exited(row.code)]
                #expect(allowed.contains(status), "\(process)")
                for words in row.says { #expect(process.errors.text.contains(words), "\(process)") }
                #expect(process.output.text.isEmpty, "\(process)")
                #expect(!process.errors.text.contains("s3cret"), "\(process)")
            }
        }

        @Test("--version prints the version on standard output and exits with 0")
        func version() async throws {
            try await Scenario.run { scenario in
                let process = try scenario.culvert("culvert", ["--version"])
                #expect(try await process.exitStatus() == .exited(0))
                #expect(process.output.text.contains { $0.isNumber }, "\(process)")
                #expect(process.errors.text.isEmpty)
            }
        }

        @Test("--help exits with 0", arguments: [[], ["server"], ["client"], ["demo"], ["check"], ["token"]])
        func help(_ command: [String]) async throws {
            try await Scenario.run { scenario in
                let process = try scenario.culvert("culvert", command + ["--help"])
                #expect(try await process.exitStatus() == .exited(0), "\(process)")
                #expect(process.output.text.contains("USAGE"))
            }
        }

        @Test("Both ends log the other's version")
        func versionsAreLogged() async throws {
            try await Scenario.run { scenario in
                let command = try scenario.culvert("culvert", ["--version"])
                _ = try await command.exitStatus()
                let number = try #require(command.output.text.split(whereSeparator: { " \n".contains($0) }).last)
                let echo = try TCPService.echo()
                let (server, client, _) = try await scenario.tunnel(to: echo)
                for process in [server.process, client.process] {
                    _ = try await process.logLine { $0.contains(number) }
                }
            }
        }

        @Test("A token that is too short exits with 65")
        func shortToken() async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/short"
                try scenario.write("short\n", to: file)
                let process = try scenario.culvert(
                    "server",
                    ["server", "--listen", "127.0.0.1:0", "--token-file", file]
                )
                #expect(try await process.exitStatus() == .exited(65), "\(process)")
                #expect(process.errors.text.contains(file) && process.errors.text.contains("22"), "\(process)")
            }
        }

        @Test("A truncated configuration is refused with its line", arguments: ["check", "client", "server"])
        func truncatedConfiguration(_ command: String) async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/cut.toml"
                try scenario.write("listen = [\"127.0.0.1:0\"]\npath = \"/tun", to: file)
                let process = try scenario.culvert(command, [command, "--config", file])
                let status = try await process.exitStatus()
                #expect(status == .exited(65) || status == .exited(78), "\(process)")
                #expect((process.errors.text + process.output.text).contains("2"), "\(process)")
            }
        }

        @Test("A server whose port is in use does not start, and names the port")
        func listenInUse() async throws {
            try await Scenario.run { scenario in
                let first = try await scenario.server()
                let second = try scenario.culvert("second", ["server", "--listen", "127.0.0.1:\(first.port)"])
                let status = try await second.exitStatus()
                #expect(status == .exited(78) || status == .exited(69), "\(second)")
                #expect(second.errors.text.contains("127.0.0.1:\(first.port)"), "\(second)")
                #expect(second.output.lines.isEmpty)
            }
        }

        @Test("A peer that is not a Culvert server ends the client with 76 and a part of its answer")
        func notOurs() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let web = try TCPService.web(page: "just a web page")
                let ssh = try TCPService { socket in
                    try socket.send("SSH-2.0-OpenSSH_9.2p1\r\n")
                    _ = try socket.drain()
                }
                for (url, says) in [
                    ("ws://127.0.0.1:\(server.port)/elsewhere", "404"), ("ws://127.0.0.1:\(web.port)", "200"),
                    ("ws://127.0.0.1:\(ssh.port)", "SSH-2.0"),
                ] {
                    let client = try scenario.client(url, ["0:localhost:9"], options: ["--max-retries", "0"])
                    #expect(try await client.process.exitStatus() == .exited(76), "\(client.process)")
                    #expect(client.process.errors.text.contains(says), "\(client.process)")
                }
            }
        }

        @Test("A front that drops the subprotocol is distinguished from another kind of server")
        func lostSubprotocol() async throws {
            try await Scenario.run { scenario in
                let front = try TCPService { socket in
                    var head = ""
                    while !head.contains("\r\n\r\n") { head += String(decoding: try socket.receive(), as: UTF8.self) }
                    let field = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key:") }
                    let key = field?.split(separator: " ").last.map(String.init) ?? ""
                    let magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                    let accept = Data(Insecure.SHA1.hash(data: Data((key + magic).utf8))).base64EncodedString()
                    try socket.send(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            + "Sec-WebSocket-Accept: \(accept)\r\n\r\n"
                    )
                    _ = try socket.drain()
                }
                let client = try scenario.client("ws://127.0.0.1:\(front.port)", ["0:localhost:9"])
                #expect(try await client.process.exitStatus() == .exited(76), "\(client.process)")
                let says = "a front before culvert server must pass Sec-WebSocket-Protocol on"
                #expect(client.process.errors.text.contains(says), "\(client.process)")
            }
        }

        @Test("check accepts a valid configuration and reports an unknown key")
        func check() async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/client.toml"
                try scenario.write(
                    """
                    url = ["wss://tunnel.example.com"]
                    token_file = "\(scenario.tokenFile)"

                    [[tunnel]]
                    remote = "8022"
                    local = "localhost:22"

                    """,
                    to: file
                )
                let good = try scenario.culvert("check", ["check", "--config", file])
                #expect(try await good.exitStatus() == .exited(0), "\(good)")
                try scenario.write("url = \"wss://tunnel.example.com\"\nunknown_key = 1\n", to: file)
                let bad = try scenario.culvert("check", ["check", "--config", file])
                #expect(try await bad.exitStatus() != .exited(0), "\(bad)")
                let said = bad.errors.text + bad.output.text
                #expect(said.contains("unknown_key") && said.contains("2"), "\(bad)")
            }
        }

        @Test("The demo fetches its page through the tunnel and exits with 0")
        func demo() async throws {
            try await Scenario.run { scenario in
                let process = try scenario.culvert("demo", ["demo", "--once"])
                #expect(try await process.exitStatus(within: .seconds(60)) == .exited(0), "\(process)")
                #expect(process.output.text.contains("http://"), "\(process)")
            }
        }

        @Test("The demo serves its URL until it is interrupted", .needs(.curl))
        func demoServes() async throws {
            try await Scenario.run { scenario in
                let process = try scenario.culvert("demo", ["demo"])
                let line = try await process.line { $0.contains("Open http://") }
                let start = try #require(line.range(of: "http://"))
                let url = String(line[start.lowerBound...].prefix { $0 != " " })
                let page = try await PathTests.curl(url, in: scenario)
                #expect(!page.isEmpty)
                process.signal(SIGINT)
                #expect(try await process.exitStatus(within: .seconds(10)) == .exited(0), "\(process)")
            }
        }
    }
}
