import Mux
import TestSupport
import Testing
import WebSocket

extension HostileTests {
    /// Refusals reveal nothing to an attacker and cost time.
    @Suite(.serialized)
    struct RefusalTests {
        /// The bytes after the challenge in answer to a wrong proof, and the time until then.
        private static func answer(
            to identity: Identity,
            on port: UInt16,
            behind: @Sendable (WirePeer, OutboundFrame) throws -> [UInt8] = { _, _ in [] }
        ) throws -> (bytes: [UInt8], after: Duration) {
            let peer = try WirePeer.dial(port)
            let (_, authenticate) = try peer.authentication(identity)
            let before = peer.raw.count
            let wrong = WirePeer.corrupted(authenticate)
            let began = ContinuousClock.now
            try peer.socket.send(try peer.encode(wrong) + behind(peer, authenticate))
            let (code, frames, _) = try peer.readToEnd()
            try require(code == .policyViolation, "closed with \(String(describing: code))")
            try require(frames.map(\.header.type) == [.refused], "received \(frames.map(\.header.type))")
            return (Array(peer.raw[before...]), .now - began)
        }

        @Test("A19 an unknown client and a wrong proof are refused with the same bytes")
        func unknownClientEqualsWrongProof() async throws {
            try await RunningServer.with { server in
                let (wrong, unknown) = try await onThread {
                    let wrong = try Self.answer(to: .alice, on: server.port)
                    let unknown = try Self.answer(to: .mallory, on: server.port)
                    return (wrong.bytes, unknown.bytes)
                }
                #expect(wrong == unknown)
                #expect(!wrong.isEmpty)
            }
        }

        @Test("A2 A19 frames after a wrong proof neither speed up the refusal nor change it")
        func framesBehindAWrongProof() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    // The first five wrong proofs are answered at once.
                    let plain = try (0..<5).map { _ in try Self.answer(to: .mallory, on: server.port) }
                    for identity in [Identity.alice, .mallory] {
                        let held = try Self.answer(to: identity, on: server.port) { peer, authenticate in
                            let more = [authenticate, WirePeer.bindRequest(1), OutboundFrame(.welcome)]
                            return try more.flatMap { try peer.encode($0) }
                        }
                        // The sixth waits 1 s, the seventh 2 s.
                        try require(held.after > .milliseconds(950), "refused after \(held.after)")
                        try require(held.bytes == plain[0].bytes, "another answer: \(held.bytes)")
                    }
                    try require(plain.allSatisfy { $0.bytes == plain[0].bytes }, "answers differ: \(plain)")
                }
                #expect(server.log.count("session opened") == 0)
            }
        }
    }
}
