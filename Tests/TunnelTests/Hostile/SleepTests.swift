import Mux
import Synchronization
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore

extension HostileTests {
    /// A client whose machine sleeps: the wall clock advances, and the other clocks do not.
    @Suite(.serialized, .tags(.slow))
    struct SleepTests {
        /// Runs a client with a session, and simulates a sleep of its machine. The server answers the next PING or not.
        private static func sleep(
            serverLives: Bool,
            _ body: @Sendable (RunningClient, Mailbox<String>) async throws -> Void
        )
            async throws
        {
            let wall = AdjustableWallClock()
            let seen = Mailbox<String>()
            let server = try HostileServer { peer in
                try peer.send(peer.grant(), WirePeer.bound())
                peer.isAlive = false
                // A session begins with a PING.
                try peer.send(OutboundFrame(.pong, .session, peer.frame(.ping).payload))
                seen.put("session")
                let ping = try peer.frame(.ping)
                if serverLives { try peer.send(OutboundFrame(.pong, .session, ping.payload)) }
                seen.put("asked")
                _ = try peer.readToEnd()
                seen.put("ended")
            }
            try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:9", wall: wall) {
                client in
                _ = try await seen.next("a session")
                let readings = wall.readings
                try await eventually("the wall clock is read") { wall.readings > readings }
                wall.advance(3_600)
                try await body(client, seen)
            }
        }

        @Test("N15 after a sleep the client sends a PING at once, and keeps its carrier if the server answers")
        func alive() async throws {
            try await Self.sleep(serverLives: true) { client, seen in
                // The next regular PING would follow after 20 s.
                _ = try await seen.next("the client sends a PING", within: SleepDetector.period + .seconds(4))
                try await Task.sleep(for: SleepDetector.pingTimeout + .seconds(1))
                #expect(client.log.count("has slept") == 1 && client.log.count("lost") == 0)
                #expect(seen.all.isEmpty, "the carrier has ended")
            }
        }

        @Test("N15 if no answer arrives after a sleep, another carrier is dialled within seconds")
        func dead() async throws {
            try await Self.sleep(serverLives: false) { client, seen in
                _ = try await seen.next("the client sends a PING", within: SleepDetector.period + .seconds(4))
                let asked = ContinuousClock.now
                _ = try await seen.next("the carrier is given up", within: SleepDetector.pingTimeout + .seconds(4))
                let taken = ContinuousClock.now - asked
                #expect(taken > SleepDetector.pingTimeout - .seconds(1))
                try await eventually("another carrier is dialled") { client.log.count("dialling") > 0 }
            }
        }
    }
}

/// A wall clock that a test can set forward.
final class AdjustableWallClock: Sendable {
    private let offset = Atomic<Int64>(0)
    private let count = Atomic(0)
    /// The number of readings.
    var readings: Int { count.load(ordering: .relaxed) }

    var seconds: Int64 {
        count.add(1, ordering: .relaxed)
        return WallClock.unixSeconds + offset.load(ordering: .relaxed)
    }

    func advance(_ seconds: Int64) { offset.add(seconds, ordering: .relaxed) }
}
