import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The exit codes of `-W`.
    @Suite(.serialized)
    struct ForwardStdioExitTests {
        @Test("A destination that refuses connections ends -W with 69 and a line that names it")
        func refused() async throws {
            try await Scenario.run { scenario in
                let destination = "127.0.0.1:\(try FreePorts.next())"
                let server = try await scenario.server(allowing: [destination])
                let line = try await Self.expectEnd(69, of: server.url, to: destination, in: scenario)
                expect(line, says: destination, "refused")
            }
        }

        @Test("A name without an address ends -W with 69 and a line that names it")
        func unknownName() async throws {
            try await Scenario.run { scenario in
                let destination = "no-such-host.invalid:80"
                let server = try await scenario.server(allowing: [destination])
                let line = try await Self.expectEnd(69, of: server.url, to: destination, in: scenario)
                expect(line, says: destination, "cannot reach")
            }
        }

        @Test("A destination without a rule ends -W with 77 and a line that names allow_connect")
        func notAllowed() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let destination = "127.0.0.1:\(echo.port)"
                let line = try await Self.expectEnd(77, of: server.url, to: destination, in: scenario)
                expect(line, says: destination, "allow_connect")
                _ = try await server.process.logLine { $0.contains("destination refused") }
                #expect(echo.accepted == 0)
            }
        }

        @Test("A server that cannot be reached ends -W with 69 after --max-retries")
        func unreachable() async throws {
            try await Scenario.run { scenario in
                let url = "ws://127.0.0.1:\(try FreePorts.next())"
                let options = ["--max-retries", "0"]
                let line = try await Self.expectEnd(69, of: url, to: "127.0.0.1:9", in: scenario, options)
                expect(line, says: "refused")
            }
        }

        @Test("A wrong token ends -W with 77 and a line that names it")
        func wrongToken() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let wrong = "\(scenario.directory)/wrong"
                try scenario.write(AuthenticationTests.other, to: wrong)
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: wrong)
                let options = ["--token-file", wrong]
                let line = try await Self.expectEnd(77, of: server.url, to: "127.0.0.1:9", in: scenario, options)
                expect(line, says: "token")
            }
        }

        // ssh sends SIGHUP to its ProxyCommand when it gives up, and does not wait for the end.
        @Test("A signal ends -W with 0 while it waits for its server", arguments: [SIGTERM, SIGINT, SIGHUP])
        func signalled(_ signal: Int32) async throws {
            try await Scenario.run { scenario in
                let url = "ws://127.0.0.1:\(try FreePorts.next())"
                let stdio = try scenario.stdio(url, to: "127.0.0.1:9", .pipe(InputPipe()))
                _ = try await stdio.process.logLine { $0.contains("refused") }
                stdio.process.signal(signal)
                #expect(try await stdio.process.exitStatus() == .exited(0), "\(stdio.process)")
            }
        }

        @Test("A reset by the destination ends -W with 69, while standard input is open")
        func reset() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    _ = try socket.receive(exactly: 5)
                    socket.abort()
                }
                let destination = "127.0.0.1:\(service.port)"
                let server = try await scenario.server(allowing: [destination])
                let input = try InputPipe()
                let stdio = try scenario.stdio(server.url, to: destination, .pipe(input))
                try input.send("hello")
                #expect(try await stdio.process.exitStatus() == .exited(69), "\(stdio.process)")
                let line = try #require(stdio.process.errors.lines.last { $0.hasPrefix("culvert: ") })
                expect(line, says: destination, "reset")
                #expect(stdio.bytes.isEmpty)
            }
        }

        @Test("A network that is lost before the last bytes are acknowledged ends -W with 69, after the drain timeout")
        func undelivered() async throws {
            try await Scenario.run { scenario in
                let received = Mailbox<Bool>()
                let service = try TCPService { socket in
                    _ = try socket.receive(exactly: 5)
                    received.put(true)
                    try socket.finishSending()
                    _ = try socket.receiveToEnd()
                }
                let destination = "127.0.0.1:\(service.port)"
                let server = try await scenario.server(allowing: [destination])
                let relay = try FaultRelay(to: server.port)
                let file = "\(scenario.directory)/client.toml"
                try scenario.write("[limits]\ndrain_time = \"1 s\"\n", to: file)
                let input = try InputPipe()
                let url = "ws://127.0.0.1:\(relay.port)"
                let stdio = try scenario.stdio(url, to: destination, .pipe(input), options: ["--config", file])
                try input.send("hello")
                _ = try await received.next("the service has the first bytes")
                relay.setBlackhole(.forward)
                try input.send("the last bytes")
                input.finish()
                #expect(try await stdio.process.exitStatus() == .exited(69), "\(stdio.process)")
                let line = try #require(stdio.process.errors.lines.last { $0.hasPrefix("culvert: ") })
                expect(line, says: destination, "acknowledged")
            }
        }

        /// Runs `-W` with an input that does not end, and expects that it ends with a code and an empty output.
        ///
        /// - Returns: its one error line.
        private static func expectEnd(
            _ code: Int32,
            of url: String,
            to destination: String,
            in scenario: Scenario,
            _ options: [String] = []
        ) async throws -> String {
            let stdio = try scenario.stdio(url, to: destination, .pipe(InputPipe()), options: options)
            #expect(try await stdio.process.exitStatus() == .exited(code), "\(stdio.process)")
            #expect(stdio.bytes.isEmpty)
            let lines = stdio.process.errors.lines.filter { $0.hasPrefix("culvert: ") }
            #expect(lines.count == 1, "not one error line: \(stdio.process)")
            return lines.last ?? ""
        }
    }
}
