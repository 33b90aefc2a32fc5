import Mux
import Synchronization
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore

extension HostileTests {
    /// A client whose machine sleeps: the wall clock goes on, the others do not.
    @Suite(.serialized, .tags(.slow))
    struct SleepTests {
        /// Runs a client with a session, whose server then reads on or goes deaf, and puts its machine to sleep.
        private static func sleep(
            serverLives: Bool,
            _ body: @Sendable (RunningClient, Mailbox<String>) async throws -> Void
        )
            async throws
        {
            let wall = SleepingWall()
            let seen = Mailbox<String>()
            let server = try HostileServer { peer in
                try peer.send(peer.grant(), WirePeer.bound())
                peer.isAlive = false
                // A session begins with a question.
                try peer.send(OutboundFrame(.pong, .session, peer.frame(.ping).payload))
                seen.put("session")
                let question = try peer.frame(.ping)
                if serverLives { try peer.send(OutboundFrame(.pong, .session, question.payload)) }
                seen.put("asked")
                _ = try peer.toTheEnd()
                seen.put("ended")
            }
            try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:9", wall: wall) {
                client in
                _ = try await seen.next("a session")
                let looks = wall.looks
                try await eventually("the clocks are looked at") { wall.looks > looks }
                wall.sleep(3_600)
                try await body(client, seen)
            }
        }

        @Test("N15 a machine that wakes asks for a sign of life at once, and whose path still carries goes on")
        func alive() async throws {
            try await Self.sleep(serverLives: true) { client, seen in
                // The next question would come after twenty seconds.
                _ = try await seen.next("it asks", within: SleepDetector.period + .seconds(4))
                try await Task.sleep(for: SleepDetector.pingTimeout + .seconds(1))
                #expect(client.log.count("has slept") == 1 && client.log.count("lost") == 0)
                #expect(seen.all.isEmpty, "the carrier has ended")
            }
        }

        @Test("N15 where nobody answers after a sleep, another carrier is dialled within seconds")
        func dead() async throws {
            try await Self.sleep(serverLives: false) { client, seen in
                _ = try await seen.next("it asks", within: SleepDetector.period + .seconds(4))
                let asked = ContinuousClock.now
                _ = try await seen.next("the carrier is given up", within: SleepDetector.pingTimeout + .seconds(4))
                let taken = ContinuousClock.now - asked
                #expect(taken > SleepDetector.pingTimeout - .seconds(1))
                try await eventually("another one is dialled") { client.log.count("dialling") > 0 }
            }
        }
    }
}

/// A wall clock that can be put forward.
final class SleepingWall: Sendable {
    private let slept = Atomic<Int64>(0)
    private let looked = Atomic(0)
    /// How often it was looked at.
    var looks: Int { looked.load(ordering: .relaxed) }

    var seconds: Int64 {
        looked.add(1, ordering: .relaxed)
        return WallClock.unixSeconds + slept.load(ordering: .relaxed)
    }

    func sleep(_ seconds: Int64) { slept.add(seconds, ordering: .relaxed) }
}
