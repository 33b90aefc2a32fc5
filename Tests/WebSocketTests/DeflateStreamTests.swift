import NIOCore
import Testing

@testable import WebSocket

/// Inflating of valid and invalid data, D6 and D10 to D16 (RFC 7692, sections 6 and 7.2).
///
/// D20, compression nested in compression, is not possible: one extension is known, and it is negotiated once.
@Suite struct DeflateStreamTests {
    @Test("RFC 7692 section 7.2.3 and the rules of RSV1, at every split", arguments: rows)
    func row(row: Row) {
        row.check()
    }

    private static func row(
        _ name: String,
        _ bytes: String,
        _ events: [WebSocketEvent],
        _ error: WebSocketError? = nil,
        noContextTakeover: Bool = false,
        limits: WebSocketLimits = .default
    ) -> Row {
        var row = Row(name: name, role: .client, bytes: hex(bytes), events: events, error: error, limits: limits)
        row.deflate = agreement(noContextTakeover: noContextTakeover)
        return row
    }

    private static func firstPart(_ text: String) -> WebSocketEvent {
        .message(.text, buffer(text), isFirst: true, isLast: false)
    }

    private static let hello = "c107 f248cdc9c90700"
    /// "H" and four letters from five bytes before: "Hello" with the window of that message, and invalid without it.
    private static let again = "c105 f200110000"

    static let rows: [Row] = [
        row("7.2.3.1 Hello", hello, [text("Hello")]),
        row("7.2.3.1 Hello in two fragments", "4103 f248cd 8004 c9c90700", [text("Hello")]),
        row("7.2.3.2 Hello again, with the window", hello + again, [text("Hello"), text("Hello")]),
        row("7.2.3.2 without the window", hello + hello, [text("Hello"), text("Hello")], noContextTakeover: true),
        row("7.2.3.3 a block that is not compressed", "c10b 000500faff48656c6c6f00", [text("Hello")]),
        row("7.2.3.4 D11 a final block", "c108 f348cdc9c9070000" + hello, [text("Hello"), text("Hello")]),
        row("7.2.3.5 D11 two blocks", "c10d f248050000 00ffffcac9c90700", [text("Hello")]),
        row("7.2.3.6 D12 an empty message", "c101 00" + hello, [text(""), text("Hello")]),
        row("D12 an empty message without a byte", "c100" + hello, [text(""), text("Hello")]),
        row("D12 in fragments without a byte", "4100 0000 8000" + hello, [text(""), text("Hello")]),
        row(
            "D12 an empty message leaves the window unchanged",
            hello + "c101 00 c100" + again,
            [text("Hello"), text(""), text(""), text("Hello")]
        ),
        row("D12 empty final block", "c102 0300" + hello, [text(""), text("Hello")]),
        row(
            "D11 the window stays after a final block",
            "c108 f348cdc9c9070000" + again,
            [text("Hello"), text("Hello")]
        ),
        row("D11 data behind a final block", "c10e f348cdc9c90700 f248cdc9c90700", [text("HelloHello")]),
        row("D11 a distance that reaches before a final block", "c10c f348cdc9c90700 f200110000", [text("HelloHello")]),
        row("D11 a final block ends the message", "c107 f348cdc9c90700" + again, [text("Hello"), text("Hello")]),
        row(
            "D11 a final block, and an empty fragment",
            "4107 f348cdc9c90700 8000" + again,
            [text("Hello"), text("Hello")]
        ),
        row("D11 empty blocks", "c10c 0000 00ffff f248cdc9c90700", [text("Hello")]),
        row(
            "D14 an uncompressed message leaves the window unchanged",
            hello + "8105 4141414141" + again,
            [text("Hello"), text("AAAAA"), text("Hello")]
        ),
        row(
            "D15 a context that is kept against the agreement",
            hello + again,
            [text("Hello"), firstPart("H")],
            .invalidDeflate,
            noContextTakeover: true
        ),
        row("D6 a distance before the first byte", again, [firstPart("H")], .invalidDeflate),
        row("D13, W13 a compressed message within another", "4103 f248cd c1", [firstPart("He")], .interleavedMessage),
        row("D13, W13 within an uncompressed message", "0101 41 c1", [firstPart("A")], .interleavedMessage),
        row("RSV1 on a continuation", "4103 f248cd c0", [firstPart("He")], .reservedBits),
        row("RSV1 on a ping", "c9", [], .reservedBits),
        row("RSV1 on a close", "c8", [], .reservedBits),
        row("RSV2 with RSV1", "e1", [], .reservedBits),
        row(
            "control frames between compressed fragments",
            "4103 f248cd 8901 3f 0002 c9c9 8a00 8002 0700" + again,
            [
                firstPart("He"), .ping(buffer("?")), .message(.text, buffer("ll"), isFirst: false, isLast: false),
                .pong(buffer("")), .message(.text, buffer("o"), isFirst: false, isLast: true), text("Hello"),
            ]
        ),
        row("a message at the limit", hello, [text("Hello")], limits: limit(5)),
        row("a message one past the limit", hello, [firstPart("Hell")], .messageTooLarge, limits: limit(4)),
        row(
            "a message one past the limit, in a final block",
            "c108 f348cdc9c9070000",
            [firstPart("Hell")],
            .messageTooLarge,
            limits: limit(4)
        ),
        row("D10 a block of an invalid type", "c101 07", [], .invalidDeflate),
        row("D10 the length of a stored block does not match", "c10b 000500faee48656c6c6f00", [], .invalidDeflate),
        row("D10 a stored block cut short", "c108 000500faff48656c", [firstPart("Hel\0\0")], .invalidDeflate),
        row("D10 the flush's last four bytes were not removed", "c105 00 0000ffff", [], .invalidDeflate),
        row("D10 invalid Huffman codes", "c105 0500000000", [], .invalidDeflate),
    ]

    private static func limit(_ bytes: Int) -> WebSocketLimits { WebSocketLimits(maximumMessageBytes: bytes) }

    @Test("D10 a stream truncated anywhere fails and never continues in the next message")
    func truncated() throws {
        for length in [5, 40, 300] {
            let payload = ConformanceDeflateTests.Corpus.json.bytes(length)
            let whole = try deflated(payload)
            for count in 1..<whole.count {
                let bytes = frame(0xC2, Array(whole[..<count]), to: .server) + frame(0xC2, whole, to: .server)
                let outcome = feed([bytes], .server, deflate: agreement(noContextTakeover: true))
                #expect(outcome.error == .invalidDeflate, "\(count) of \(whole.count)")
                #expect(feed(bytes.map { [$0] }, .server, deflate: agreement(noContextTakeover: true)) == outcome)
            }
        }
    }

    @Test("D10 a single wrong bit causes an error or other bytes, the same at every split")
    func flipped() throws {
        let good = try deflated(ConformanceDeflateTests.Corpus.markup.bytes(300))
        for bit in stride(from: 0, to: good.count * 8, by: 7) {
            var bad = good
            bad[bit / 8] ^= 1 << UInt8(bit % 8)
            let bytes = frame(0xC2, bad, to: .client)
            let limits = WebSocketLimits(maximumMessageBytes: 2_000)
            let whole = feed([bytes], .client, limits: limits, deflate: agreement())
            #expect(feed(bytes.map { [$0] }, .client, limits: limits, deflate: agreement()) == whole, "bit \(bit)")
            #expect(received(whole).count <= 2_000)
            #expect(whole.error == nil || whole.error == .invalidDeflate || whole.error == .messageTooLarge)
        }
    }

    // This end always inflates with the widest window. With a narrower one, zlib would detect such a distance at some
    // splits only.
    @Test("D6 distances beyond the agreed window give the same result at every split")
    func widerThanAgreed() throws {
        var payload = ConformanceDeflateTests.Corpus.noise.bytes(5_000)
        payload += payload
        let bytes = frame(0xC2, try deflated(payload), to: .server)
        let outcome = sameOutcome(bytes, .server, deflate: agreement(bits: 9))
        #expect(outcome == Outcome(events: [binary(payload)]))
    }

    @Test("a kept chunk is unchanged after the next message")
    func keptChunk() throws {
        var connection = Connection(role: .client, deflate: agreement())
        connection.receive(buffer(hex(Self.hello)))
        let first = try connection.nextEvent()
        connection.receive(buffer(frame(0xC1, try deflated(Array("olleH".utf8)), to: .client)))
        let second = try connection.nextEvent()
        #expect(first == text("Hello"))
        #expect(second == text("olleH"))
    }

    @Test("compressed text that is not UTF-8 is refused at its first invalid byte")
    func invalidText() throws {
        let wrong = Array("some text that is long enough ".utf8) + [0xC3, 0x28] + Array(" and goes on".utf8)
        for role in [WebSocketRole.client, .server] {
            let bytes = frame(0xC1, try deflated(wrong), to: role)
            let outcome = sameOutcome(bytes, role, deflate: agreement())
            #expect(outcome.error == .invalidText)
            #expect(received(outcome) == Array(wrong.prefix(31)))
            let cut = sameOutcome(frame(0xC1, try deflated([0x41, 0xC3]), to: role), role, deflate: agreement())
            #expect(cut.error == .invalidText)
        }
    }

    @Test("W18 compressed text is refused at its first byte on a binary-only connection")
    func textRefused() {
        let outcome = sameOutcome(hex("c1"), .client, deflate: agreement(), acceptsText: false)
        #expect(outcome.error == .unexpectedText)
    }
}
