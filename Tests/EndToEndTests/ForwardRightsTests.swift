import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `allow_connect` of a `[[client]]`, and its changes while streams run.
    @Suite(.serialized)
    struct ForwardRightsTests {
        @Test(
            "After SIGHUP with narrower rights, the stream that they do not allow is reset, and the other one goes on"
        )
        func narrowed() async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<TCPSocket.Ending>()
                let kept = try TCPService.echo()
                let removed = try TCPService { socket in
                    try socket.send("x")
                    endings.put(try socket.drain().ending)
                }
                let (one, other) = ("127.0.0.1:\(kept.port)", "127.0.0.1:\(removed.port)")
                let file = "\(scenario.directory)/server.toml"
                let verifier = try await Self.verifier(in: scenario)
                try scenario.write(Self.configuration(verifier, allowing: [one, other]), to: file)
                let server = try scenario.culvert("server", ["server", "--config", file])
                let url = try await server.line { $0.hasPrefix("listening ") }.dropFirst("listening ".count)
                let client = try scenario.client(String(url), [], options: ["-L", "0:\(one)", "-L", "0:\(other)"])
                let keptProgram = try TCPSocket(port: await client.forward(to: one))
                let port = try await client.forward(to: other)
                let removedProgram = try TCPSocket(port: port)
                try await onThread {
                    try keptProgram.requireEcho("before")
                    _ = try removedProgram.receive(exactly: 1)
                }
                try scenario.write(Self.configuration(verifier, allowing: [one]), to: file)
                server.signal(SIGHUP)
                #expect(try await onThread { try removedProgram.drain().ending } == .reset)
                #expect(try await endings.next("the service sees the end") == .reset)
                try await onThread { try keptProgram.requireEcho("after") }
                try await expectReset(at: port)
                let line = try await server.logLine { $0.contains("rights have changed") }
                expect(line, says: other)
                #expect(server.errors.lines.count { $0.contains("rights have changed") } == 1)
                keptProgram.close()
                await client.process.end()
                #expect(client.process.errors.lines.count { $0.contains("session opened") } == 1)
            }
        }

        @Test("After SIGHUP with wider rights, the same session reaches the new destination")
        func widened() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let destination = "127.0.0.1:\(echo.port)"
                let file = "\(scenario.directory)/server.toml"
                let verifier = try await Self.verifier(in: scenario)
                try scenario.write(Self.configuration(verifier, allowing: []), to: file)
                let server = try scenario.culvert("server", ["server", "--config", file])
                let url = try await server.line { $0.hasPrefix("listening ") }.dropFirst("listening ".count)
                let client = try scenario.client(String(url), [], options: ["-L", "0:\(destination)"])
                let port = try await client.forward(to: destination)
                try await expectReset(at: port)
                try scenario.write(Self.configuration(verifier, allowing: [destination]), to: file)
                server.signal(SIGHUP)
                try await eventuallyEchoes(through: port, within: .seconds(20))
                await client.process.end()
                #expect(client.process.errors.lines.count { $0.contains("session opened") } == 1)
            }
        }

        /// The verifier of the scenario's token.
        private static func verifier(in scenario: Scenario) async throws -> String {
            let command = try scenario.culvert("token", ["token", "--from", scenario.tokenFile])
            #expect(try await command.exitStatus() == .exited(0))
            let line = try #require(command.output.lines.last { $0.contains("verifier") })
            return line.replacingOccurrences(of: "verifier", with: "")
                .trimmingCharacters(in: CharacterSet(charactersIn: " =\""))
        }

        private static func configuration(_ verifier: String, allowing rules: [String]) -> String {
            """
            listen = "127.0.0.1:0"
            public_address = "127.0.0.1"

            [[client]]
            name = "laptop"
            verifier = "\(verifier)"
            allow_connect = [\(rules.map { "\"\($0)\"" }.joined(separator: ", "))]

            """
        }
    }
}
