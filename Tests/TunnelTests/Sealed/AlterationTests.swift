import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Everything sealed, and a path that reads and alters all of it.
@Suite("Against a path that alters", .serialized)
enum SealedTests {}

extension SealedTests {
    /// Messages behind the handshake.
    @Suite(.serialized)
    struct AlterationTests {
        private static let acts = PathAttack.legal + PathAttack.illegal
        /// Attacks at each position: each costs a dial, of which there are two a second.
        private static let share = TestRun.isHeavy ? acts.count : 1

        /// The attacks at messages behind the handshake: each act at one position, or at several if the run is heavy.
        private static func attacks(_ direction: PathAttack.Direction) -> [PathAttack] {
            // The handshake has one message to the server, and two to the client.
            let first = direction == .toServer ? 1 : 2
            return acts.indices.flatMap { position in
                (0..<share).map { number in
                    let act = acts[(position * share + number) % acts.count]
                    return PathAttack(direction: direction, position: first + position, act: act)
                }
            }
        }

        @Test(
            "Altered, dropped, moved, repeated or inserted messages end their carrier, and the streams go on with each byte",
            arguments: PathAttack.Direction.allCases
        )
        func behindTheHandshake(direction: PathAttack.Direction) async throws {
            let attacks = Self.attacks(direction)
            try await SealedTunnel.with { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                tunnel.relay.perform(attacks)
                // The first connection has passed the beginning of the messages.
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(attacks.count)
                try await Self.requireProgress(visitor)
                guard case .exact(let count) = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(count > 100_000)
                try await tunnel.requireVisitor()
                // One session has survived all of it.
                #expect(tunnel.client.log.count("notice session opened") == 1)
                #expect(tunnel.server.log.count("notice session opened") == 1)
                let ended = attacks.filter { !$0.isLegal }.count
                #expect(tunnel.client.log.count("notice session resumed") >= ended)
                let warned = direction == .toServer ? tunnel.server.log : tunnel.client.log
                #expect(warned.count("the connection is being altered in transit") > ended / 6)
                #expect(tunnel.client.ends.all.isEmpty)
            }
        }

        @Test("What RFC 6455 permits does not end the carrier", arguments: PathAttack.Direction.allCases)
        func permitted(direction: PathAttack.Direction) async throws {
            let attacks = (0..<10).flatMap { _ in
                PathAttack.legal.map { PathAttack(direction: direction, position: 2, act: $0) }
            }
            try await SealedTunnel.with { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                tunnel.relay.perform(attacks)
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(attacks.count)
                try await Self.requireProgress(visitor)
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(tunnel.client.log.count("notice session resumed") == 1)
                #expect(tunnel.relay.accepted == 2)
            }
        }

        @Test(
            "The third altered carrier in a minute is in the log of the end that has received it, and the second is not",
            arguments: PathAttack.Direction.allCases
        )
        func warning(direction: PathAttack.Direction) async throws {
            let words = "warning the connection is being altered in transit"
            try await SealedTunnel.with { tunnel in
                let log = direction == .toServer ? tunnel.server.log : tunnel.client.log
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                let attack = PathAttack(direction: direction, position: 4, act: .flip(.middle))
                tunnel.relay.perform([attack, attack])
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(2)
                try await Self.requireProgress(visitor)
                // The carrier of the last attack and the first one are gone.
                try await eventually("the session has its fourth carrier") {
                    tunnel.client.log.count("notice session resumed") >= 3
                }
                #expect(log.count(words) == 0)
                tunnel.relay.perform([attack])
                tunnel.relay.cutAll()
                try await eventually("the third one is in the log") { log.count(words) == 1 }
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
            }
        }

        @Test(
            "So it is with thousands of random attacks in both directions",
            .enabled(if: TestRun.isHeavy)
        )
        func random() async throws {
            let seed = UInt64.random(in: 0 ... .max)
            print("seed of the random attacks: \(seed)")
            var generator = SplitMix(state: seed)
            let attacks = (0..<4_000).map { _ in
                PathAttack(
                    direction: Bool.random(using: &generator) ? .toServer : .toClient,
                    position: 2 + Int.random(in: 0..<120, using: &generator),
                    act: Self.acts.randomElement(using: &generator) ?? .drop
                )
            }
            try await SealedTunnel.with { tunnel in
                let visitors = try (0..<3).map { _ in try PatternVisitor(port: tunnel.publicPort) }
                tunnel.relay.perform(attacks)
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(attacks.count)
                for visitor in visitors {
                    guard case .exact = try await visitor.finish() else {
                        throw ScenarioFailure(description: "seed \(seed): a visitor's stream is broken")
                    }
                }
                try await tunnel.requireVisitor()
                #expect(tunnel.client.log.count("notice session opened") == 1, "seed \(seed)")
            }
        }

        /// Requires that bytes come back after the last attack.
        private static func requireProgress(_ visitor: PatternVisitor) async throws {
            let before = visitor.bytes
            try await eventually("bytes come back to the visitor", found: { "\(visitor.outcomes.all)" }) {
                visitor.bytes > before + 20_000
            }
        }
    }
}
