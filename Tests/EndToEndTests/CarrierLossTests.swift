import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Lost, replaced and missing carriers, and their effect on streams.
    @Suite(.serialized)
    struct CarrierLossTests {
        /// Starts a server, a relay with faults before it, and a client that dials through the relay.
        private static func start(
            _ scenario: Scenario,
            to service: UInt16,
            serverOptions: [String] = [],
            clientOptions: [String] = []
        ) async throws -> (server: CulvertServer, relay: FaultRelay, client: CulvertClient, port: UInt16) {
            let server = try await scenario.server(options: serverOptions)
            let relay = try FaultRelay(to: server.port)
            let client = try scenario.client(
                "ws://127.0.0.1:\(relay.port)",
                ["0:127.0.0.1:\(service)"],
                options: clientOptions
            )
            return (server, relay, client, try await client.tunnel(to: service))
        }

        // For N28, a missing close_notify is the same cut below TLS: without a Close the carrier is lost. The test with
        // repeated faults covers a path with TLS.
        @Test("N3 a stream with bytes in flight survives the loss of its carrier", arguments: FaultRelay.Cut.allCases)
        func cut(_ how: FaultRelay.Cut) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, relay, client, port) = try await Self.start(scenario, to: echo.port)
                let transfer = EchoedTransfer(through: port, bytesPerSecond: 20_000_000)
                for round in 0..<5 {
                    let before = transfer.received
                    try await eventually("bytes flow") { transfer.received > before + 1_000_000 }
                    relay.cut(how)
                    _ = try await client.process.logLine(skip: round) { $0.contains("session resumed") }
                    _ = try await server.process.logLine(skip: round) { $0.contains("session resumed") }
                }
                try await transfer.expectIntact()
                #expect(client.process.output.lines.count == 1, "the port stayed public")
                #expect(echo.accepted == 1)
            }
        }

        @Test("P5 a visitor that connects without a carrier is served on the next one")
        func lateVisitor() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, relay, client, port) = try await Self.start(scenario, to: echo.port)
                client.process.signal(SIGSTOP)
                relay.cut(.reset)
                _ = try await server.process.logLine { $0.contains("carrier lost") }
                let visitors = try (0..<300).map { _ in try TCPSocket(port: port) }
                for visitor in visitors { try visitor.send("x") }
                client.process.signal(SIGCONT)
                try await onThread {
                    for visitor in visitors {
                        let byte = try visitor.receive(exactly: 1)
                        try require(byte == Array("x".utf8), "\(byte)")
                        visitor.close()
                    }
                }
            }
        }

        @Test("P5 a visitor waits 15 s for a carrier, and is then reset")
        func visitorTimeout() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, relay, client, port) = try await Self.start(scenario, to: echo.port)
                client.process.signal(SIGSTOP)
                relay.cut(.reset)
                _ = try await server.process.logLine { $0.contains("carrier lost") }
                let waited = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    let start = ContinuousClock.now
                    let ending = try visitor.drain().ending
                    try require(ending == .reset, "it ended with \(ending)")
                    return start.duration(to: .now)
                }
                #expect(waited > .seconds(14) && waited < .seconds(17), "\(waited)")
                client.process.signal(SIGCONT)
                try await eventuallyEchoes(through: port, within: .seconds(20))
            }
        }

        @Test("N18 after a server is killed and restarted, the client starts a new session")
        func unknownSession() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, _, client, _) = try await Self.start(scenario, to: echo.port)
                await server.process.kill()
                let again = try await scenario.server(port: server.port)
                let port = try await client.tunnel(to: echo.port, skip: 1)
                try await expectEcho(through: port)
                _ = try await client.process.logLine { $0.contains("did not know the session any more") }
                #expect(again.process.exitStatus == nil)
            }
        }

        @Test("N11 culvert renew makes the client change carriers, and the new one is up before the old one is closed")
        func clientRenewal() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (_, relay, client, port) = try await Self.start(
                    scenario,
                    to: echo.port,
                    clientOptions: ["--admin", scenario.adminSocket]
                )
                let interactive = InteractiveVisitor(through: port)
                try await eventually("bytes are echoed") { interactive.count > 3 }
                for round in 0..<3 {
                    try scenario.renew()
                    let line = try await client.process.logLine(skip: round) { $0.contains("session resumed") }
                    #expect(line.contains("without_carrier=\"0.0 s\""), "\(line)")
                    let before = interactive.count
                    try await eventually("bytes are echoed") { interactive.count > before + 3 }
                }
                try await eventually("the old carriers are closed") { relay.connections == 1 }
                #expect(relay.accepted == 4)
                let slowest = try await interactive.finish()
                #expect(slowest < .seconds(1), "an echo took \(slowest)")
                #expect(!client.process.errors.text.contains("carrier lost"))
            }
        }

        @Test("N11 culvert renew makes all clients of a server change carriers")
        func renewal() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let socket = "unix:\(scenario.directory)/admin.sock"
                let options = ["--admin", socket]
                let (_, relay, client, port) = try await Self.start(scenario, to: echo.port, serverOptions: options)
                let interactive = InteractiveVisitor(through: port)
                let command = try scenario.culvert("renew", ["renew", "--admin", socket])
                #expect(try await command.exitStatus() == .exited(0))
                #expect(command.output.text == "1 session asked for another WebSocket within 1 s")
                _ = try await client.process.logLine { $0.contains("session resumed") }
                _ = try await interactive.finish()
                #expect(relay.accepted == 2 && !client.process.errors.text.contains("carrier lost"))
            }
        }

        @Test("N11 --max-carrier-age makes the client change carriers")
        func carrierAge() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let options = ["--max-carrier-age", "2s"]
                let (_, relay, client, port) = try await Self.start(scenario, to: echo.port, clientOptions: options)
                let interactive = InteractiveVisitor(through: port)
                _ = try await client.process.logLine(skip: 1) { $0.contains("session resumed") }
                _ = try await interactive.finish()
                #expect(relay.accepted >= 3)
                #expect(!client.process.errors.text.contains("carrier lost"))
            }
        }

        @Test("X10 visitors' bytes beyond the memory limit wait in the kernel, and other visitors are served")
        func memory() async throws {
            try await Scenario.run { scenario in
                let sink = try TCPService { socket in _ = try? socket.drain() }
                let echo = try TCPService.echo()
                let configuration = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nmemory = \"16 MiB\"\n", to: configuration)
                let server = try await scenario.server(options: ["--config", configuration])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(sink.port)", "0:127.0.0.1:\(echo.port)"])
                let sinkPort = try await client.tunnel(to: sink.port)
                let echoPort = try await client.tunnel(to: echo.port)
                try await expectEcho(through: echoPort)
                let before = try server.process.residentBytes
                let visitors = try (0..<400).map { _ in try TCPSocket(port: sinkPort) }
                try await eventually("all streams are established") { sink.accepted == visitors.count }
                // The stopped client reads nothing of 400 × 64 KiB, and the limit is 16 MiB.
                client.process.signal(SIGSTOP)
                try await onThread {
                    for visitor in visitors {
                        _ = try? visitor.sendUntilStalled(
                            [UInt8](repeating: 7, count: 65_536),
                            timeout: .milliseconds(50),
                            limit: 131_072
                        )
                    }
                }
                let grown = try server.process.peakResidentBytes - before
                #expect(grown < 40 << 20, "the server has grown by \(grown >> 20) MiB")
                client.process.signal(SIGCONT)
                for visitor in visitors { visitor.abort() }
                try await eventuallyEchoes(through: echoPort, within: .seconds(20))
                #expect(client.process.output.lines.count == 2 && server.process.exitStatus == nil)
            }
        }

        @Test("N19 all clients of a restarted server reconnect at the rate that it admits")
        func storm() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let count = TestRun.isHeavy ? 100 : 16
                let configuration = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nconnections_per_second = 4\n", to: configuration)
                let first = try await scenario.server(options: ["--config", configuration])
                let clients = try (0..<count).map { index in
                    try scenario.client(first.url, ["0:127.0.0.1:\(echo.port)"], options: ["--name", "c\(index)"])
                }
                for client in clients { _ = try await client.tunnel(to: echo.port, within: .seconds(60)) }
                // Without a GOAWAY all clients dial at once.
                await first.process.kill()
                let second = try await scenario.server(port: first.port, options: ["--config", configuration])
                let start = ContinuousClock.now
                for client in clients {
                    let port = try await client.tunnel(to: echo.port, skip: 1, within: .seconds(60))
                    try await expectEcho(through: port)
                }
                #expect(start.duration(to: .now) < .seconds(60))
                let refusals = clients.count { $0.process.errors.text.contains("503") }
                #expect(refusals > 0, "no client was refused with 503")
                #expect(second.process.exitStatus == nil)
            }
        }

        @Test(
            "20 bulk streams and an interactive one survive repeated faults of the path",
            .needs(.squid, .nginx)
        )
        func repeatedFaults() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let relay = try FaultRelay(to: server.port)
                let front = try await Nginx.front(of: relay.port, in: scenario)
                var squid = try await Squid.start(in: scenario)
                let client = try scenario.client(
                    front.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--ca", front.authority, "--proxy", squid.url]
                )
                let port = try await client.tunnel(to: echo.port)
                let transfers = (0..<20).map { _ in EchoedTransfer(through: port, bytesPerSecond: 250_000) }
                let interactive = InteractiveVisitor(through: port)
                let end = ContinuousClock.now + .seconds(TestRun.isHeavy ? 600 : 30)
                var random = SystemRandomNumberGenerator()
                var cuts = 0
                while .now < end {
                    // The interval between faults.
                    try await Task.sleep(for: .seconds(2))
                    switch cuts % 6 {
                    case 0: relay.cut(.end)
                    case 1: relay.cut(.reset)
                    case 2: relay.cut(.truncated)
                    case 3:
                        relay.setBlackhole([.both, .forward, .back].randomElement(using: &random) ?? .both)
                        try await Task.sleep(for: .seconds(2))
                        relay.setBlackhole([])
                        relay.cut(.reset)
                    case 4:
                        await squid.process.kill()
                        squid = try await squid.restarted(in: scenario)
                    default:
                        front.reload(in: scenario)
                    }
                    cuts += 1
                }
                for transfer in transfers { try await transfer.expectIntact() }
                _ = try await interactive.finish()
                #expect(echo.accepted == 21, "no stream was opened again")
                #expect(client.process.output.lines.count == 1)
                #expect(cuts >= 8)
            }
        }
    }
}
