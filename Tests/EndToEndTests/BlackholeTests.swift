import Foundation
import TestSupport
import Testing

/// Paths that discard bytes silently. These tests measure the time until the loss is noticed, so they run beside the
/// others.
@Suite("Paths that discard bytes", .timeLimit(.minutes(5)))
struct BlackholeTests {
    /// Discards bytes for 40 s, and checks when both ends notice and that the stream survives.
    private static func run(_ blackhole: FaultRelay.Blackhole, isBusy: Bool) async throws {
        try await Scenario.run { scenario in
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let relay = try FaultRelay(to: server.port)
            let client = try scenario.client("ws://127.0.0.1:\(relay.port)", ["0:127.0.0.1:\(echo.port)"])
            let port = try await client.tunnel(to: echo.port)
            let transfer = EchoedTransfer(through: port, bytesPerSecond: isBusy ? 200_000 : 0)
            try await eventually("the stream is established") { echo.accepted == 1 }
            if isBusy { try await eventually("bytes flow") { transfer.received > 100_000 } }
            let start = ContinuousClock.now
            relay.setBlackhole(blackhole)
            async let atClient = Self.lost(client.process, since: start)
            async let atServer = Self.lost(server.process, since: start)
            let noticed = try await [atClient, atServer]
            // An end pings 2 s after unacknowledged bytes, and an idle end within 24 s. The answer may take 10 s.
            #expect(noticed.allSatisfy { $0 < .seconds(36) }, "noticed after \(noticed)")
            if isBusy { #expect(noticed.contains { $0 < .seconds(14) }, "noticed after \(noticed)") }
            try await Task.sleep(until: start + .seconds(40))
            relay.setBlackhole([])
            _ = try await client.process.logLine(within: .seconds(60)) { $0.contains("session resumed") }
            #expect(start.duration(to: .now) < .seconds(85), "the back-off is too long")
            try await transfer.expectIntact()
            try await expectEcho(through: port)
            #expect(echo.accepted == 2 && client.process.output.lines.count == 1)
        }
    }

    private static func lost(_ process: ChildProcess, since start: ContinuousClock.Instant) async throws -> Duration {
        _ = try await process.logLine(within: .seconds(60)) { $0.contains("carrier lost") }
        return start.duration(to: .now)
    }

    // N12, a path that loses large packets, is a black hole in one direction from the first large segment on. TCP
    // delivers in order, so later small segments wait, also the answer to a PING.
    @Test("N1 N2 a black hole of 40 s in either or both directions is noticed in time, and the stream survives")
    func busy() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for blackhole in [FaultRelay.Blackhole.both, .forward, .back] {
                group.addTask { try await Self.run(blackhole, isBusy: true) }
                group.addTask { try await Self.run(blackhole, isBusy: false) }
            }
            try await group.waitForAll()
        }
    }
}
