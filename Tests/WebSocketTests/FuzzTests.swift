import TestSupport
import Testing

@testable import WebSocket

/// Seeded mutations of valid traffic. A connection never traps; it gives events or one typed error, the same at every
/// split.
@Suite struct FuzzTests {
    /// Traffic from Fixtures, as this end receives it: fragments, control frames between them, Close, and inputs that
    /// the fuzzer has found.
    private static func seeds(_ role: WebSocketRole) throws -> [[UInt8]] {
        try Fuzzing.corpus("websocket/to-\(role)").map(\.bytes)
    }

    /// Compressed messages: those of RFC 7692, in fragments, of two blocks, and with the window of earlier messages.
    private static func deflatedSeeds(_ role: WebSocketRole) throws -> [[UInt8]] {
        let long = try deflated(ConformanceDeflateTests.Corpus.json.bytes(900))
        let zeros = try deflated([UInt8](repeating: 0, count: 5_000))
        let text = try deflated(Array("Hello, κόσμε 🌍, κόσμε".utf8))
        let (hello, again) = (hex("f248cdc9c90700"), hex("f200110000"))
        let traffic: [[(UInt8, [UInt8])]] = [
            [(0xC1, hello), (0xC1, again), (0x81, Array("plain".utf8)), (0xC1, again), (0xC2, [0]), (0xC2, [])],
            [(0x41, Array(text.prefix(9))), (0x89, [1]), (0x00, []), (0x80, Array(text.dropFirst(9)))],
            [(0xC2, long), (0xC1, hex("f348cdc9c9070000")), (0xC1, hex("f24805000000ffffcac9c90700"))],
            [(0xC2, zeros), (0xC2, long), (0x88, [3, 232])],
        ]
        return traffic.map { $0.flatMap { frame($0.0, $0.1, to: role) } }
    }

    @Test(
        "W31 mutated traffic gives the same events or error at every split",
        arguments: [WebSocketRole.client, .server]
    )
    func mutations(role: WebSocketRole) throws {
        let limits = WebSocketLimits(
            maximumFrameBytes: 300,
            maximumMessageBytes: 400,
            maximumFragments: 6,
            maximumQueuedControlBytes: 40
        )
        Self.fuzz(try Self.seeds(role), role, limits, deflate: nil)
    }

    @Test(
        "D10 mutated compressed traffic gives the same events or error at every split",
        arguments: [WebSocketRole.client, .server],
        [agreement(), agreement(noContextTakeover: true, bits: 9)]
    )
    func deflatedMutations(role: WebSocketRole, agreement: DeflateAgreement) throws {
        let limits = WebSocketLimits(
            maximumFrameBytes: 1_000,
            maximumMessageBytes: 4_000,
            maximumFragments: 6,
            maximumQueuedControlBytes: 40
        )
        Self.fuzz(try Self.deflatedSeeds(role), role, limits, deflate: agreement)
    }

    private static func fuzz(
        _ seeds: [[UInt8]],
        _ role: WebSocketRole,
        _ limits: WebSocketLimits,
        deflate: DeflateAgreement?
    ) {
        var random = Fuzzing.generator(role == .client ? 0xC1 : 0x5E)
        let end = ContinuousClock.now + Fuzzing.time
        var rounds = 0
        while ContinuousClock.now < end {
            rounds += 1
            let bytes = Fuzzing.mutate(seeds[rounds % seeds.count], &random)
            let whole = feed([bytes], role, limits: limits, deflate: deflate)
            let some = feed(Fuzzing.cut(bytes, &random), role, limits: limits, deflate: deflate)
            let each = feed(bytes.map { [$0] }, role, limits: limits, deflate: deflate)
            let isBounded = whole.events.allSatisfy { event in
                guard case .message(_, let payload, _, _) = event else { return true }
                return payload.readableBytes <= limits.maximumMessageBytes
            }
            guard whole == some, whole == each, isBounded else {
                Issue.record("round \(rounds): \(bytes) gives \(whole), \(some), \(each)")
                return
            }
        }
        #expect(rounds > 10)
    }

    @Test("each end decodes the messages that the other encodes")
    func roundTrip() throws {
        var random = SplitMix64(state: 77)
        for role in [WebSocketRole.client, .server] {
            var sender = Connection(role: role, masks: MaskSource(generator: random))
            var sent = buffer("")
            var expected: [WebSocketEvent] = []
            for _ in 0..<300 {
                let length = Int.random(in: 0...300, using: &random)
                let payload = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
                let split = Int.random(in: 0...length, using: &random)
                let (prefix, rest) = (buffer(payload[..<split]), buffer(payload[split...]))
                try sender.encodeMessage(.binary, prefix: prefix, payload: rest, into: &sent)
                expected.append(binary(payload))
            }
            let outcome = feed(Fuzzing.cut(Array(sent.readableBytesView), &random), role == .client ? .server : .client)
            #expect(outcome == Outcome(events: expected))
        }
    }

    @Test("W31 many small frames in one read, and one large frame in small reads, take linear time")
    func linearTime() {
        func time(_ count: Int) -> Duration {
            let frames = (0..<count).flatMap { masked(0x82, [UInt8(truncatingIfNeeded: $0)]) }
            return ContinuousClock().measure {
                #expect(feed([frames], .server).events.count == count)
            }
        }
        func bytewise(_ count: Int) -> Duration {
            let frame = masked(0x82, [UInt8](repeating: 1, count: count)).map { [$0] }
            return ContinuousClock().measure {
                var connection = Connection(role: .server)
                for byte in frame { connection.receive(buffer(byte)) }
                var received = 0
                while case .message(_, let bytes, _, _) = try? connection.nextEvent() {
                    received += bytes.readableBytes
                }
                #expect(received == count)
            }
        }
        _ = (time(1000), bytewise(1000))
        // Eight times the input. Quadratic work would take 64 times as long.
        #expect(time(40_000) < time(5000) * 32 + .milliseconds(100))
        #expect(bytewise(160_000) < bytewise(20_000) * 32 + .milliseconds(100))
    }
}
