import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Sessions with several carriers at a time.
    @Suite(.serialized)
    struct LaneTests {
        /// A server, a relay with faults before it, and a client with several carriers through the relay.
        private struct Tunnel {
            let server: CulvertServer
            let relay: FaultRelay
            let client: CulvertClient
            let port: UInt16

            init(
                _ scenario: Scenario,
                to service: UInt16,
                carriers: Int,
                isSealed: Bool = false,
                serverOptions: [String] = []
            ) async throws {
                server = try await scenario.server(options: serverOptions)
                let relay = try FaultRelay(to: server.port)
                self.relay = relay
                client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)",
                    ["0:127.0.0.1:\(service)"],
                    options: ["--carriers", "\(carriers)", "--encryption", isSealed ? "required" : "auto"]
                )
                port = try await client.tunnel(to: service)
            }

            func expectCarriers(_ count: Int) async throws {
                try await eventually("there are \(count) carriers", within: .seconds(20)) {
                    relay.connections == count
                }
            }
        }

        @Test("A stream over several carriers survives the loss of any of them, and no session is resumed")
        func cuts() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let tunnel = try await Tunnel(scenario, to: echo.port, carriers: 3)
                try await tunnel.expectCarriers(3)
                let transfer = EchoedTransfer(through: tunnel.port, bytesPerSecond: 20_000_000)
                let interactive = InteractiveVisitor(through: tunnel.port)
                for (round, how) in (FaultRelay.Cut.allCases + FaultRelay.Cut.allCases).enumerated() {
                    let before = transfer.received
                    try await eventually("bytes flow") { transfer.received > before + 1_000_000 }
                    let accepted = tunnel.relay.accepted
                    let open = tunnel.relay.open
                    tunnel.relay.cut(how, connection: open[round % open.count])
                    try await eventually("the lost carrier has a successor", within: .seconds(20)) {
                        tunnel.relay.accepted > accepted && tunnel.relay.connections == 3
                    }
                }
                try await transfer.expectIntact()
                _ = try await interactive.finish()
                #expect(echo.accepted == 2, "no stream was opened again")
                #expect(!tunnel.client.process.errors.text.contains("session resumed"))
                #expect(tunnel.client.process.output.lines.count == 1, "the port stayed public")
            }
        }

        @Test("After the loss of all carriers the session is resumed, and gets its further carriers again")
        func cutOfAll() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let tunnel = try await Tunnel(scenario, to: echo.port, carriers: 4)
                let transfer = EchoedTransfer(through: tunnel.port, bytesPerSecond: 20_000_000)
                for round in 0..<3 {
                    try await tunnel.expectCarriers(4)
                    let before = transfer.received
                    try await eventually("bytes flow") { transfer.received > before + 1_000_000 }
                    tunnel.relay.cut(.reset)
                    _ = try await tunnel.client.process.logLine(skip: round) { $0.contains("session resumed") }
                }
                try await tunnel.expectCarriers(4)
                try await transfer.expectIntact()
                #expect(echo.accepted == 1)
            }
        }

        @Test(
            "A carrier that delivers nothing is left within seconds for one that works, long before a PING would decide"
        )
        func stall() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let tunnel = try await Tunnel(scenario, to: echo.port, carriers: 2)
                try await tunnel.expectCarriers(2)
                let transfer = EchoedTransfer(through: tunnel.port, bytesPerSecond: 20_000_000)
                for blackhole in [FaultRelay.Blackhole.both, .forward, .back] {
                    try await tunnel.expectCarriers(2)
                    let before = transfer.received
                    try await eventually("bytes flow") { transfer.received > before + 1_000_000 }
                    tunnel.relay.setBlackhole(blackhole, connection: tunnel.relay.open[0])
                    let start = ContinuousClock.now
                    let stalled = transfer.received
                    try await eventually("bytes flow again") { transfer.received > stalled + 20_000_000 }
                    let time = start.duration(to: .now)
                    #expect(time < .seconds(8), "\(blackhole): \(time)")
                }
                try await transfer.expectIntact()
                #expect(!tunnel.client.process.errors.text.contains("session resumed"))
            }
        }

        @Test("The server's carriers_per_session bounds the carriers, and the session goes on with those that it has")
        func serverLimit() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let configuration = "\(scenario.directory)/limits.toml"
                try scenario.write("[limits]\ncarriers_per_session = 2\n", to: configuration)
                let tunnel = try await Tunnel(
                    scenario,
                    to: echo.port,
                    carriers: 4,
                    serverOptions: ["--config", configuration]
                )
                try await eventually("all carriers were dialled") { tunnel.relay.accepted >= 4 }
                try await tunnel.expectCarriers(2)
                try await expectEcho(through: tunnel.port)
                #expect(!tunnel.client.process.errors.text.contains("no further"), "\(tunnel.client.process)")
            }
        }

        @Test("A path that refuses more connections costs one line in the log, and nothing else")
        func refusal() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let relay = try FaultRelay(to: server.port)
                relay.setMost(1)
                let client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)",
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--carriers", "2"]
                )
                let port = try await client.tunnel(to: echo.port)
                let interactive = InteractiveVisitor(through: port)
                _ = try await client.process.logLine { $0.contains("no further WebSocket could be opened") }
                let before = interactive.count
                try await eventually("bytes are echoed") { interactive.count > before + 100 }
                _ = try await interactive.finish()
                let lines = client.process.errors.text.split(separator: "\n").filter { $0.contains("WebSocket") }
                #expect(lines.count == 1, "\(client.process)")
                #expect(relay.connections == 1)
            }
        }

        @Test("culvert renew replaces all carriers of a session, one after the other")
        func renewal() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let socket = "unix:\(scenario.directory)/admin.sock"
                let tunnel = try await Tunnel(
                    scenario,
                    to: echo.port,
                    carriers: 3,
                    serverOptions: ["--admin", socket]
                )
                try await tunnel.expectCarriers(3)
                let transfer = EchoedTransfer(through: tunnel.port, bytesPerSecond: 20_000_000)
                let old = Set(tunnel.relay.open)
                let command = try scenario.culvert("renew", ["renew", "--admin", socket])
                #expect(try await command.exitStatus() == .exited(0))
                try await eventually("all carriers are new", within: .seconds(20)) {
                    old.isDisjoint(with: tunnel.relay.open) && tunnel.relay.connections == 3
                }
                try await transfer.expectIntact()
                #expect(!tunnel.client.process.errors.text.contains("carrier lost"))
            }
        }

        @Test("Bulk and interactive streams of a sealed session survive cuts and stalls of carriers at random")
        func torture() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let tunnel = try await Tunnel(scenario, to: echo.port, carriers: 4, isSealed: true)
                let transfers = (0..<10).map { _ in EchoedTransfer(through: tunnel.port, bytesPerSecond: 500_000) }
                let interactive = InteractiveVisitor(through: tunnel.port)
                let end = ContinuousClock.now + .seconds(TestRun.isHeavy ? 600 : 20)
                var random = SystemRandomNumberGenerator()
                var faults = 0
                while .now < end {
                    // The interval between faults.
                    try await Task.sleep(for: .milliseconds(.random(in: 100...1_500, using: &random)))
                    guard let connection = tunnel.relay.open.randomElement(using: &random) else { continue }
                    faults += 1
                    switch faults % 8 {
                    case 0: tunnel.relay.cut(.reset)
                    case 1, 5:
                        let blackhole = [FaultRelay.Blackhole.both, .forward, .back].randomElement(using: &random)
                        tunnel.relay.setBlackhole(blackhole ?? .both, connection: connection)
                    default:
                        let how = FaultRelay.Cut.allCases.randomElement(using: &random) ?? .end
                        tunnel.relay.cut(how, connection: connection)
                    }
                }
                for transfer in transfers { try await transfer.expectIntact() }
                _ = try await interactive.finish()
                #expect(echo.accepted == 11, "no stream was opened again")
                #expect(tunnel.client.process.output.lines.count == 1)
                #expect(faults >= 10)
            }
        }
    }
}
