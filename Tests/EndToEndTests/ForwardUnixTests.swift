import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Forwards to Unix sockets of the server's machine.
    @Suite(.serialized)
    struct ForwardUnixTests {
        @Test(
            "-L to a Unix socket carries bytes and half-closes, by a rule for the path or for its folder",
            arguments: [true, false]
        )
        func echo(byFolder: Bool) async throws {
            try await Scenario.run { scenario in
                let path = "\(scenario.directory)/echo.sock"
                let echo = try TCPService.echo(unixPath: path)
                let server = try await scenario.server(allowing: [byFolder ? "\(scenario.directory)/*" : path])
                let client = try scenario.client(server.url, [], options: ["-L", "0:\(path)"])
                let port = try await client.forward(to: path)
                let bytes = randomBytes(2_000_000)
                let answer = try await onThread {
                    let program = try TCPSocket(port: port)
                    Thread.detachNewThread {
                        try? program.send(bytes)
                        try? program.finishSending()
                    }
                    return try program.receiveToEnd()
                }
                #expect(answer == bytes)
                #expect(echo.accepted == 1)
            }
        }

        @Test("A Unix socket that closes with unread bytes resets the program")
        func reset() async throws {
            try await Scenario.run { scenario in
                let path = "\(scenario.directory)/reset.sock"
                let service = try TCPService(unixPath: path) { socket in try socket.waitForBytes() }
                let server = try await scenario.server(allowing: [path])
                let client = try scenario.client(server.url, [], options: ["-L", "0:\(path)"])
                let port = try await client.forward(to: path)
                let ending = try await onThread {
                    let program = try TCPSocket(port: port)
                    try program.send("unread")
                    return try program.drain().ending
                }
                #expect(ending == .reset)
                #expect(service.accepted == 1)
            }
        }

        @Test("A Unix socket without a rule, and a path without a socket, reset the program with their reasons")
        func failures() async throws {
            try await Scenario.run { scenario in
                let folder = try scenario.folder("allowed")
                let (outside, missing) = ("\(scenario.directory)/outside.sock", "\(folder)/missing.sock")
                let echo = try TCPService.echo(unixPath: outside)
                let server = try await scenario.server(allowing: ["\(folder)/*"])
                let options = ["-L", "0:\(outside)", "-L", "0:\(missing)"]
                let client = try scenario.client(server.url, [], options: options)
                try await expectReset(at: client.forward(to: outside))
                let refusal = try await server.process.logLine { $0.contains("destination refused") }
                expect(refusal, says: outside)
                try await expectReset(at: client.forward(to: missing))
                let failure = try await server.process.logLine { $0.contains("destination cannot be reached") }
                expect(failure, says: missing)
                #expect(echo.accepted == 0)
            }
        }

        @Test("-W reaches a Unix socket")
        func stdio() async throws {
            try await Scenario.run { scenario in
                let path = "\(scenario.directory)/answer.sock"
                let service = try TCPService(unixPath: path) { socket in
                    try socket.send(Array(socket.receiveToEnd().reversed()))
                }
                let server = try await scenario.server(allowing: [path])
                let input = try InputPipe()
                let stdio = try scenario.stdio(server.url, to: path, .pipe(input))
                try input.send("abc")
                input.finish()
                #expect(try await stdio.process.exitStatus() == .exited(0), "\(stdio.process)")
                #expect(String(decoding: stdio.bytes, as: UTF8.self) == "cba")
                #expect(service.accepted == 1)
            }
        }

        // Optional in CI too, because the package is large.
        @Test(
            "psql reaches the Unix socket of PostgreSQL through -L",
            .enabled(if: Postgres.isInstalled, "not installed: postgres (apt-get install postgresql)")
        )
        func postgres() async throws {
            try await Scenario.run { scenario in
                let postgres = try await Postgres.start(in: scenario)
                let server = try await scenario.server(allowing: ["\(postgres.folder)/*"])
                let client = try scenario.client(server.url, [], options: ["-L", "0:\(postgres.socket)"])
                let port = try await client.forward(to: postgres.socket)
                let sum = try await Postgres.query(
                    "select sum(n) from generate_series(1, 100000) n",
                    port: port,
                    in: scenario
                )
                #expect(sum == "5000050000")
            }
        }
    }
}
