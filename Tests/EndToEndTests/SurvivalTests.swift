import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The WebSocket is cut in every way, and no visitor notices.
    @Suite(.serialized)
    struct SurvivalTests {
        /// A server, a relay before it that fails when told to, and a client that dials through it.
        private static func scene(
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

        // N28, TLS that ends without close_notify, is the same cut below TLS: what comes is no Close of the WebSocket, and
        // loses the carrier. The long test below cuts a way with TLS so. BoringSSL does not renegotiate.
        @Test("N3 a connection with bytes under way outlives its WebSocket", arguments: FaultRelay.Cut.allCases)
        func cut(_ how: FaultRelay.Cut) async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (server, relay, client, port) = try await Self.scene(scenario, to: echo.port)
                let copy = EchoedCopy(through: port, bytesPerSecond: 20_000_000)
                for round in 0..<5 {
                    let before = copy.received
                    try await eventually("bytes flow") { copy.received > before + 1_000_000 }
                    relay.cut(how)
                    _ = try await client.process.logLine(skip: round) { $0.contains("session resumed") }
                    _ = try await server.process.logLine(skip: round) { $0.contains("session resumed") }
                }
                try await copy.expectWhole()
                #expect(client.process.output.lines.count == 1, "the port was public all the time")
                #expect(echo.accepted == 1)
            }
        }

        @Test("P5 a visitor who comes while there is no WebSocket is served when there is one again")
        func lateVisitor() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (server, relay, client, port) = try await Self.scene(scenario, to: echo.port)
                client.process.signal(SIGSTOP)
                relay.cut(.reset)
                _ = try await server.process.logLine { $0.contains("carrier lost") }
                let visitors = try (0..<300).map { _ in try TCPSocket(port: port) }
                for visitor in visitors { try visitor.send("x") }
                client.process.signal(SIGCONT)
                try await onThread {
                    for visitor in visitors {
                        let byte = try visitor.receive(exactly: 1)
                        try demand(byte == Array("x".utf8), "\(byte)")
                        visitor.close()
                    }
                }
            }
        }

        @Test("P5 a visitor waits 15 s for a WebSocket, and is then reset")
        func patience() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (server, relay, client, port) = try await Self.scene(scenario, to: echo.port)
                client.process.signal(SIGSTOP)
                relay.cut(.reset)
                _ = try await server.process.logLine { $0.contains("carrier lost") }
                let waited = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    let start = ContinuousClock.now
                    let ending = try visitor.drain().ending
                    try demand(ending == .reset, "it ended with \(ending)")
                    return start.duration(to: .now)
                }
                #expect(waited > .seconds(14) && waited < .seconds(17), "\(waited)")
                client.process.signal(SIGCONT)
                try await eventuallyEchoes(through: port, within: .seconds(20))
            }
        }

        @Test("N18 a server that was killed and started again: streams are reset at once, and a new session stands")
        func unknownSession() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (server, _, client, _) = try await Self.scene(scenario, to: echo.port)
                let service = try TCPService { socket in _ = try? socket.drain() }
                _ = service
                await server.process.kill()
                let again = try await scenario.server(port: server.port)
                let port = try await client.tunnel(to: echo.port, skip: 1)
                try await expectEcho(through: port)
                _ = try await client.process.logLine { $0.contains("did not know the session any more") }
                #expect(again.process.exitStatus == nil)
            }
        }

        @Test("N11 SIGHUP makes the client change carriers; the new one is up before the old one is closed")
        func hangup() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (_, relay, client, port) = try await Self.scene(scenario, to: echo.port)
                let keys = Keystrokes(through: port)
                try await eventually("keys are echoed") { keys.count > 3 }
                for round in 0..<3 {
                    client.process.signal(SIGHUP)
                    let line = try await client.process.logLine(skip: round) { $0.contains("session resumed") }
                    #expect(line.contains("without_carrier=\"0.0 s\""), "\(line)")
                    let before = keys.count
                    try await eventually("keys are echoed") { keys.count > before + 3 }
                }
                try await eventually("the old carriers are closed") { relay.connections == 1 }
                #expect(relay.accepted == 4)
                let slowest = try await keys.finish()
                #expect(slowest < .seconds(1), "a key took \(slowest)")
                #expect(!client.process.errors.text.contains("carrier lost"))
            }
        }

        @Test("N11 culvert renew makes all clients of a server change carriers, as before a front is taken down")
        func renewal() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let socket = "unix:\(scenario.directory)/admin.sock"
                let options = ["--admin", socket]
                let (_, relay, client, port) = try await Self.scene(scenario, to: echo.port, serverOptions: options)
                let keys = Keystrokes(through: port)
                let command = try scenario.culvert("renew", ["renew", "--admin", socket])
                #expect(try await command.exitStatus() == .exited(0))
                #expect(command.output.text == "1 session asked for another WebSocket within 1 s")
                _ = try await client.process.logLine { $0.contains("session resumed") }
                _ = try await keys.finish()
                #expect(relay.accepted == 2 && !client.process.errors.text.contains("carrier lost"))
            }
        }

        @Test("N11 --max-carrier-age makes the client change carriers by itself")
        func carrierAge() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let options = ["--max-carrier-age", "2s"]
                let (_, relay, client, port) = try await Self.scene(scenario, to: echo.port, clientOptions: options)
                let keys = Keystrokes(through: port)
                _ = try await client.process.logLine(skip: 1) { $0.contains("session resumed") }
                _ = try await keys.finish()
                #expect(relay.accepted >= 3)
                #expect(!client.process.errors.text.contains("carrier lost"))
            }
        }

        @Test("X10 more visitors' bytes than memory has room for wait in the kernel, and others are served")
        func memory() async throws {
            try await Scenario.play { scenario in
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
                try await eventually("all streams stand") { sink.accepted == visitors.count }
                // Nobody takes what they send: 400 times 64 KiB, where 16 MiB have room.
                client.process.signal(SIGSTOP)
                try await onThread {
                    for visitor in visitors {
                        _ = try? visitor.sendUntilStalled(
                            [UInt8](repeating: 7, count: 65_536),
                            patience: .milliseconds(50),
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

        @Test("N19 a server that is restarted has all its clients back, at the rate that it admits")
        func storm() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let count = TestRun.isHeavy ? 100 : 16
                let configuration = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nconnections_per_second = 4\n", to: configuration)
                let first = try await scenario.server(options: ["--config", configuration])
                let clients = try (0..<count).map { index in
                    try scenario.client(first.url, ["0:127.0.0.1:\(echo.port)"], options: ["--name", "c\(index)"])
                }
                for client in clients { _ = try await client.tunnel(to: echo.port, within: .seconds(60)) }
                // Without a word, so that all dial at once.
                await first.process.kill()
                let second = try await scenario.server(port: first.port, options: ["--config", configuration])
                let start = ContinuousClock.now
                for client in clients {
                    let port = try await client.tunnel(to: echo.port, skip: 1, within: .seconds(60))
                    try await expectEcho(through: port)
                }
                #expect(start.duration(to: .now) < .seconds(60))
                let refusals = clients.count { $0.process.errors.text.contains("503") }
                #expect(refusals > 0, "nobody was asked to come back later")
                #expect(second.process.exitStatus == nil)
            }
        }

        @Test(
            "20 streams both ways and one of keystrokes, while the way is cut again and again",
            .needs(.squid, .nginx)
        )
        func torture() async throws {
            try await Scenario.play { scenario in
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
                let copies = (0..<20).map { _ in EchoedCopy(through: port, bytesPerSecond: 250_000) }
                let keys = Keystrokes(through: port)
                let end = ContinuousClock.now + .seconds(TestRun.isHeavy ? 600 : 30)
                var random = SystemRandomNumberGenerator()
                var cuts = 0
                while .now < end {
                    // How often is the subject.
                    try await Task.sleep(for: .seconds(2))
                    switch cuts % 6 {
                    case 0: relay.cut(.end)
                    case 1: relay.cut(.reset)
                    case 2: relay.cut(.truncated)
                    case 3:
                        relay.setHole([.both, .forward, .back].randomElement(using: &random) ?? .both)
                        try await Task.sleep(for: .seconds(2))
                        relay.setHole([])
                        relay.cut(.reset)
                    case 4:
                        await squid.process.kill()
                        squid = try await squid.again(in: scenario)
                    default:
                        front.reload(in: scenario)
                    }
                    cuts += 1
                }
                for copy in copies { try await copy.expectWhole() }
                _ = try await keys.finish()
                #expect(echo.accepted == 21, "no stream was begun anew")
                #expect(client.process.output.lines.count == 1)
                #expect(cuts >= 8)
            }
        }
    }
}
