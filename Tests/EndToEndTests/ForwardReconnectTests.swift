import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Forwards while carriers and sessions are lost.
    @Suite(.serialized)
    struct ForwardReconnectTests {
        static let password = "pa:ss@w%rd/1"

        @Test(
            "A transfer through -L and a proxy with a password survives the loss of its carrier",
            .needs(.squid, .squidBasic, .openssl),
            arguments: FaultRelay.Cut.allCases
        )
        func cut(_ how: FaultRelay.Cut) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(allowing: ["127.0.0.1:\(echo.port)"])
                let relay = try FaultRelay(to: server.port)
                let squid = try await Squid.start(in: scenario, user: "alma", password: Self.password)
                let client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)",
                    [],
                    options: [
                        "-L", "0:127.0.0.1:\(echo.port)", "--proxy", squid.url, "--proxy-user",
                        "alma:\(Self.password)",
                    ]
                )
                let port = try await client.forward(to: "127.0.0.1:\(echo.port)")
                let transfer = EchoedTransfer(through: port, bytesPerSecond: 20_000_000)
                for round in 0..<3 {
                    let before = transfer.received
                    try await eventually("bytes flow") { transfer.received > before + 1_000_000 }
                    relay.cut(how)
                    _ = try await client.process.logLine(skip: round) { $0.contains("session resumed") }
                    _ = try await server.process.logLine(skip: round) { $0.contains("session resumed") }
                }
                try await transfer.expectIntact()
                #expect(echo.accepted == 1)
                await client.process.end()
                try await eventually("Squid logs the carriers") { squid.tunnels(to: relay.port).count == 4 }
            }
        }

        @Test("A connection to a local port before the client's first session waits, and then works")
        func clientFirst() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let destination = "127.0.0.1:\(echo.port)"
                let port = try FreePorts.next()
                let client = try scenario.client("ws://127.0.0.1:\(port)", [], options: ["-L", "0:\(destination)"])
                let program = try TCPSocket(port: await client.forward(to: destination))
                try program.send("early")
                _ = try await client.process.logLine { $0.contains("refused") }
                _ = try await scenario.server(port: port, allowing: [destination])
                try await Self.expectAnswer("early", at: program)
            }
        }

        @Test("A connection to a local port without a carrier is served on the next one")
        func withoutCarrier() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let destination = "127.0.0.1:\(echo.port)"
                let server = try await scenario.server(allowing: [destination])
                let relay = try FaultRelay(to: server.port)
                let client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)",
                    [],
                    options: ["-L", "0:\(destination)"]
                )
                let port = try await client.forward(to: destination)
                try await expectEcho(through: port)
                server.process.signal(SIGSTOP)
                relay.cut(.reset)
                _ = try await client.process.logLine { $0.contains("carrier lost") }
                let programs = try (0..<100).map { _ in try TCPSocket(port: port) }
                for program in programs { try program.send("x") }
                server.process.signal(SIGCONT)
                for program in programs {
                    try await Self.expectAnswer("x", at: program)
                    program.close()
                }
                await client.process.end()
                #expect(client.process.errors.lines.count { $0.contains("session opened") } == 1, "\(client.process)")
            }
        }

        @Test(
            "After a restart of the server, a connection that was made without a session works",
            arguments: [SIGTERM, SIGKILL]
        )
        func restart(_ signal: Int32) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let destination = "127.0.0.1:\(echo.port)"
                let (first, client, port) = try await scenario.forward(to: echo)
                try await expectEcho(through: port)
                first.process.signal(signal)
                _ = try await first.process.exitStatus()
                _ = try await client.process.logLine { $0.contains("refused") }
                // The local port stays bound.
                let program = try TCPSocket(port: port)
                try program.send("early")
                _ = try await scenario.server(port: first.port, allowing: [destination])
                try await Self.expectAnswer("early", at: program)
                try await expectEcho(through: port)
                #expect(client.process.output.lines == ["forward 127.0.0.1:\(port) -> \(destination)"])
            }
        }

        @Test("While a server drains, its streams go on, and a new connection waits for the next server")
        func drain() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (first, client, port) = try await scenario.forward(to: echo)
                let running = try TCPSocket(port: port)
                try running.send("before")
                try await Self.expectAnswer("before", at: running)
                first.process.signal(SIGTERM)
                _ = try await client.process.logLine { $0.contains("server is going away") }
                let waiting = try TCPSocket(port: port)
                try waiting.send("early")
                try running.send("after")
                try running.finishSending()
                try await Self.expectAnswer("after", at: running)
                #expect(try await onThread { try running.drain().ending } == .end)
                #expect(try await first.process.exitStatus() == .exited(0))
                _ = try await scenario.server(port: first.port, allowing: ["127.0.0.1:\(echo.port)"])
                try await Self.expectAnswer("early", at: waiting)
            }
        }

        @Test("A connection that is open when the server is killed is reset")
        func openAtRestart() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (first, _, port) = try await scenario.forward(to: echo)
                let program = try TCPSocket(port: port)
                try program.send("open")
                try await Self.expectAnswer("open", at: program)
                await first.process.kill()
                _ = try await scenario.server(port: first.port, allowing: ["127.0.0.1:\(echo.port)"])
                #expect(try await onThread { try program.drain().ending } == .reset)
                try await expectEcho(through: port)
            }
        }

        @Test("A client that drains finishes its streams, and refuses new connections at once")
        func clientDrain() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (_, client, port) = try await scenario.forward(to: echo)
                let running = try TCPSocket(port: port)
                try running.send("before")
                try await Self.expectAnswer("before", at: running)
                client.process.signal(SIGTERM)
                try await eventually("the local port is closed") {
                    do {
                        try TCPSocket(port: port).close()
                        return false
                    } catch SocketError.refused {
                        return true
                    } catch {
                        // The listener may close while the connection is in its queue.
                        return false
                    }
                }
                #expect(client.process.exitStatus == nil)
                try running.send("after")
                try running.finishSending()
                try await Self.expectAnswer("after", at: running)
                #expect(try await onThread { try running.drain().ending } == .end)
                #expect(try await client.process.exitStatus() == .exited(0))
            }
        }

        /// Expects the echo of a text that was sent before.
        private static func expectAnswer(_ text: String, at program: TCPSocket) async throws {
            let answer = try await onThread { try program.receive(exactly: text.utf8.count) }
            #expect(String(decoding: answer, as: UTF8.self) == text)
        }
    }
}
