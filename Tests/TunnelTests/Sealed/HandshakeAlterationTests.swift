import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension SealedTests {
    /// Frames of handshakes that are altered.
    @Suite(.serialized)
    struct HandshakeAlterationTests {
        /// Frames of a handshake by direction and number.
        static let frames: [(name: String, direction: PathAttack.Direction, position: Int)] = [
            ("CHALLENGE", .toClient, 0), ("the request", .toServer, 0), ("the answer", .toClient, 1),
        ]

        private static let acts = PathAttack.legal + PathAttack.illegal

        /// Whether the handshake may wait for a message that does not come.
        private static func mayWait(_ act: PathAttack.Act) -> Bool {
            switch act {
            case .drop, .swapWithNext, .joinWithNext, .length: true
            default: false
            }
        }

        @Test(
            "An altered frame of a new session's handshake leads to no wrong session: the client ends, or begins another one",
            arguments: frames.indices
        )
        func newSession(index: Int) async throws {
            let (name, direction, position) = Self.frames[index]
            try await onLanes(Self.acts) { act in
                let attack = PathAttack(direction: direction, position: position, act: act)
                try await SealedTunnel.with(attacks: [attack], isWaited: false) { _ in
                } client: { configuration in
                    if Self.mayWait(act) { configuration.clientLimits.hopTimeout = .seconds(1) }
                } _: { tunnel in
                    let end = try await eventually("\(act) at \(name): the client ends or is public") {
                        tunnel.client.ends.all.first ?? tunnel.client.tunnels.all.first
                    }
                    if end.hasPrefix("tcp://") {
                        try await tunnel.requireVisitor()
                        if attack.isLegal { #expect(tunnel.relay.accepted == 1, "\(act) at \(name)") }
                    } else {
                        #expect(!attack.isLegal, "\(act) at \(name): \(end)")
                        #expect(end.hasPrefix("refused: ") || end.hasPrefix("not ours: "), "\(act) at \(name): \(end)")
                        #expect(tunnel.client.log.count("notice session opened") == 0, "\(act) at \(name)")
                    }
                    #expect(tunnel.relay.performed.count == 1)
                }
            }
        }

        @Test(
            "An altered frame of a further carrier's handshake costs that carrier alone: its session and streams go on",
            arguments: frames.indices
        )
        func furtherCarrier(index: Int) async throws {
            let (name, direction, position) = Self.frames[index]
            try await onLanes(Self.acts) { act in
                let attack = PathAttack(direction: direction, position: position, act: act)
                try await SealedTunnel.with { _ in
                } client: { configuration in
                    if Self.mayWait(act) { configuration.clientLimits.hopTimeout = .seconds(1) }
                } _: { tunnel in
                    let visitor = try PatternVisitor(port: tunnel.publicPort)
                    try await eventually("bytes come back") { visitor.bytes > 10_000 }
                    tunnel.relay.perform([attack])
                    tunnel.relay.cutAll()
                    try await eventually("\(act) at \(name)") { tunnel.relay.performed.count == 1 }
                    let before = visitor.bytes
                    try await eventually("\(act) at \(name): the stream goes on or is reset, or the client ends") {
                        visitor.bytes > before + 10_000 || !visitor.outcomes.all.isEmpty
                            || !tunnel.client.ends.all.isEmpty
                    }
                    if let end = tunnel.client.ends.all.first {
                        // Another key than the remembered one. The server keeps the session and the stream for a while.
                        #expect(name == "CHALLENGE" && act == .flip(.last), "\(act) at \(name): \(end)")
                        #expect(end.contains("KEY HAS CHANGED"), "\(act) at \(name): \(end)")
                        return #expect(visitor.outcomes.all.isEmpty)
                    }
                    let outcome = try await visitor.finish()
                    guard case .exact = outcome else {
                        Issue.record("\(act) at \(name): \(outcome)\n\(tunnel.client.log.text)")
                        return
                    }
                    #expect(tunnel.client.log.count("notice session opened") == 1, "\(act) at \(name)")
                    #expect(tunnel.server.log.count("notice session opened") == 1, "\(act) at \(name)")
                    try await tunnel.requireVisitor()
                }
            }
        }

        @Test("The third RESUME that the path has altered in a minute is in the server's log, and the second is not")
        func warning() async throws {
            let words = "warning the connection is being altered in transit"
            let attack = PathAttack(direction: .toServer, position: 0, act: .flip(.middle))
            try await SealedTunnel.with { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                try await eventually("bytes come back") { visitor.bytes > 10_000 }
                tunnel.relay.perform([attack, attack])
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(2)
                try await eventually("the session resumes") {
                    tunnel.client.log.count("notice session resumed") == 1
                }
                #expect(tunnel.server.log.count(words) == 0)
                tunnel.relay.perform([attack])
                tunnel.relay.cutAll()
                try await eventually("the third one is in the log") { tunnel.server.log.count(words) == 1 }
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(tunnel.client.log.count("notice session opened") == 1)
            }
        }

        /// Runs the acts, a few at a time.
        private func onLanes(
            _ acts: [PathAttack.Act],
            _ body: @escaping @Sendable (PathAttack.Act) async throws -> Void
        ) async throws {
            try await withThrowingTaskGroup(of: Void.self) { lanes in
                for lane in 0..<10 {
                    lanes.addTask {
                        for index in stride(from: lane, to: acts.count, by: 10) { try await body(acts[index]) }
                    }
                }
                try await lanes.waitForAll()
            }
        }
    }
}
