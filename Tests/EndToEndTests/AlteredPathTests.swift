import TestSupport
import Testing

extension EndToEnd {
    /// Sessions over a path that reads and alters what it carries.
    @Suite(.serialized)
    struct AlteredPathTests {
        /// A server and a client that seal, with a relay between them, and a tunnel to a service that sends a pattern back.
        private struct Ends: Sendable {
            let relay: BumpingRelay
            let server: CulvertServer
            let client: CulvertClient
            let port: UInt16
            /// The first wrong bytes at the service.
            let wrong: Mailbox<String>

            init(in scenario: Scenario) async throws {
                wrong = Mailbox()
                let service = try Pattern.echo(wrong: wrong)
                server = try await scenario.server(options: ["--encryption", "required"])
                relay = try BumpingRelay(to: server.port)
                client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)/tunnel",
                    ["0:127.0.0.1:\(service.port)"],
                    options: ["--encryption", "required", "--carriers", "1"]
                )
                port = try await client.tunnel(to: service.port)
            }

            /// Performs attacks while visitors send and receive, and requires each of their bytes from one session.
            func endure(_ attacks: [PathAttack]) async throws {
                let visitors = try (0..<3).map { _ in try PatternVisitor(port: port) }
                relay.perform(attacks)
                // The first connection has passed the beginning of the messages.
                relay.cutAll()
                let limit = Duration.seconds(60 + 3 * attacks.count)
                try await eventually(
                    "\(attacks.count) attacks were performed",
                    within: limit,
                    found: { "\(relay.performed.count), the last: \(relay.performed.suffix(2))" }
                ) { relay.performed.count >= attacks.count }
                for visitor in visitors {
                    let before = visitor.bytes
                    try await eventually("bytes come back", found: { "\(visitor.outcomes.all)" }) {
                        visitor.bytes > before + 20_000
                    }
                    let outcome = try await visitor.finish()
                    guard case .exact = outcome else {
                        throw ScenarioFailure(description: "\(outcome) after \(relay.performed.suffix(3))")
                    }
                }
                #expect(wrong.all.isEmpty, "\(wrong.all)")
                for process in [server.process, client.process] {
                    #expect(process.exitStatus == nil, "it has ended")
                    let sessions = process.errors.lines.count { $0.contains("session opened") }
                    #expect(sessions == 1, "\(process): \(sessions) sessions")
                }
            }
        }

        @Test(
            "A path that flips, drops, repeats, moves, cuts or inserts messages costs carriers alone: one session, each byte"
        )
        func altered() async throws {
            let acts =
                TestRun.isHeavy ? PathAttack.illegal : PathAttack.plain.prefix(2).map { .insertPlain($0) } + Self.few
            try await Scenario.run { scenario in
                let ends = try await Ends(in: scenario)
                let attacks = acts.enumerated().flatMap { index, act in
                    // Behind the handshake: one message of the client, two of the server.
                    PathAttack.Direction.allCases.map { PathAttack(direction: $0, position: 2 + index, act: act) }
                }
                try await ends.endure(attacks)
                try await eventually("an end has said so in its log") {
                    [ends.server.process, ends.client.process].contains {
                        $0.errors.text.contains("the connection is being altered in transit")
                    }
                }
            }
        }

        private static let few: [PathAttack.Act] = [
            .flip(.middle), .drop, .repeat, .swapWithNext, .cutLastByte, .insertOld(isFirst: false), .reflect,
        ]

        @Test("A path that denies the session in the server's place, again and again, does not end it")
        func denied() async throws {
            // REFUSED with the code unknownSession.
            let denied: [UInt8] = [0x06, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 4, 2, 0, 0]
            let attack = PathAttack(direction: .toServer, position: 0, act: .answer(denied))
            try await Scenario.run { scenario in
                try await Ends(in: scenario).endure([PathAttack](repeating: attack, count: 3))
            }
        }
    }
}
