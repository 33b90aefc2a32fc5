import Foundation
import TestSupport
import Testing

/// Paths that swallow what is sent, without a word. How long that takes to be noticed is the subject, so that these tests
/// wait for the clock, beside the others.
@Suite("A path that swallows bytes", .timeLimit(.minutes(5)))
struct HoleTests {
    /// A hole of 40 s: when was it noticed, at both ends, and does the stream live on?
    private static func play(_ hole: FaultRelay.Hole, isBusy: Bool) async throws {
        try await Scenario.play { scenario in
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let relay = try FaultRelay(to: server.port)
            let client = try scenario.client("ws://127.0.0.1:\(relay.port)", ["0:127.0.0.1:\(echo.port)"])
            let port = try await client.tunnel(to: echo.port)
            let copy = EchoedCopy(through: port, bytesPerSecond: isBusy ? 200_000 : 0)
            try await eventually("the stream stands") { echo.accepted == 1 }
            if isBusy { try await eventually("bytes flow") { copy.received > 100_000 } }
            let start = ContinuousClock.now
            relay.setHole(hole)
            async let atClient = Self.lost(client.process, since: start)
            async let atServer = Self.lost(server.process, since: start)
            let noticed = try await [atClient, atServer]
            // Who has sent something is in doubt after 2 s; who rests asks within 24 s; the answer has 10 s.
            #expect(noticed.allSatisfy { $0 < .seconds(36) }, "noticed after \(noticed)")
            if isBusy { #expect(noticed.contains { $0 < .seconds(14) }, "noticed after \(noticed)") }
            try await Task.sleep(until: start + .seconds(40))
            relay.setHole([])
            _ = try await client.process.logLine(within: .seconds(60)) { $0.contains("session resumed") }
            #expect(start.duration(to: .now) < .seconds(85), "back-off ends within half a minute of the hole")
            try await copy.expectWhole()
            try await expectEcho(through: port)
            #expect(echo.accepted == 2 && client.process.output.lines.count == 1)
        }
    }

    private static func lost(_ process: ChildProcess, since start: ContinuousClock.Instant) async throws -> Duration {
        _ = try await process.logLine(within: .seconds(60)) { $0.contains("carrier lost") }
        return start.duration(to: .now)
    }

    // N12, a path that lets small packets pass and swallows large ones, is the hole in one direction from the first large
    // segment on: TCP delivers in order, so that every later small one, a PING's answer too, waits behind it.
    @Test("N1 N2 a hole of 40 s under load, both ways or one, is noticed in time, and the stream lives on")
    func busy() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for hole in [FaultRelay.Hole.both, .forward, .back] {
                group.addTask { try await Self.play(hole, isBusy: true) }
                group.addTask { try await Self.play(hole, isBusy: false) }
            }
            try await group.waitForAll()
        }
    }
}
