import NIOCore
import Testing

@testable import WebSocket

/// Compression of sent messages, D4 and D16 (RFC 7692, section 7.2.1).
@Suite struct DeflateSendingTests {
    private static func sent(_ messages: [[UInt8]], _ agreement: DeflateAgreement) throws -> [[UInt8]] {
        var connection = Connection(role: .server, deflate: agreement)
        return try messages.map { message in
            var out = ByteBuffer()
            try connection.encodeMessage(.text, payload: buffer(message), into: &out)
            return Array(out.readableBytesView)
        }
    }

    @Test("RFC 7692 section 7.2.3: sent messages have the bytes of the examples")
    func examples() throws {
        let hello = Array("Hello".utf8)
        #expect(try Self.sent([hello, hello], agreement()) == [hex("c107f248cdc9c90700"), hex("c105f200110000")])
        // Without the window compression makes both messages longer, so they are sent uncompressed.
        #expect(
            try Self.sent([hello, hello], agreement(noContextTakeover: true)) == [
                hex("810548656c6c6f"), hex("810548656c6c6f"),
            ]
        )
    }

    @Test("without context takeover equal messages are equal on the wire; with it the second is shorter")
    func takeover() throws {
        let message = ConformanceDeflateTests.Corpus.markup.bytes(400)
        let alone = try Self.sent([message, message], agreement(noContextTakeover: true))
        #expect(alone[0] == alone[1])
        let kept = try Self.sent([message, message], agreement())
        #expect(kept[0] == alone[0])
        #expect(kept[1].count < 20)
    }

    @Test("D4 short messages, empty ones, and those for a window of 8 bits are sent uncompressed")
    func uncompressed() throws {
        let zeros = [UInt8](repeating: 0, count: 100)
        #expect(try Self.sent([zeros], agreement(minimumBytes: 101))[0][0] == 0x81)
        #expect(try Self.sent([zeros], agreement(minimumBytes: 100))[0][0] == 0xC1)
        #expect(try Self.sent([[]], agreement()) == [hex("8100")])
        #expect(try Self.sent([zeros], agreement(bits: 8))[0][0] == 0x81)
        #expect(try Self.sent([zeros], agreement(bits: 9))[0][0] == 0xC1)
    }

    @Test("prefix and payload are one compressed message, masked by a client")
    func prefix() throws {
        for (prefix, payload) in [("", "abcabcabcabcabc"), ("abcabcabcabcabc", ""), ("abcabc", "abcabcabc")] {
            for (role, other) in [(WebSocketRole.client, WebSocketRole.server), (.server, .client)] {
                var connection = Connection(
                    role: role,
                    masks: MaskSource(generator: FixedGenerator()),
                    deflate: agreement()
                )
                var out = ByteBuffer()
                try connection.encodeMessage(.text, prefix: buffer(prefix), payload: buffer(payload), into: &out)
                let bytes = Array(out.readableBytesView)
                #expect(bytes[0] == 0xC1)
                #expect(sameOutcome(bytes, other, deflate: agreement()).events == [text(prefix + payload)])
            }
        }
    }

    @Test("D16 the flush's last four bytes are removed, for every length of a message")
    func everyLength() throws {
        var deflater = try unwrap(
            Deflater.make(windowBits: 15, noContextTakeover: false, options: DeflateOptions())
        )
        var inflater = try unwrap(Inflater.make(noContextTakeover: false))
        for corpus in [ConformanceDeflateTests.Corpus.noise, .prose] {
            let all = corpus.bytes(3_000)
            for length in (1...700).map({ $0 }) + Array(stride(from: 701, through: 3_000, by: 13)) {
                var small = ByteBuffer()
                #expect(deflater.compress(ByteBuffer(), buffer(all[..<length]), into: &small))
                #expect(Array(small.readableBytesView.suffix(4)) != [0, 0, 0xFF, 0xFF])
                var back = ByteBuffer()
                #expect(inflater.inflate(&small, endsMessage: true, into: &back, atMost: 4_000) == .drained)
                #expect(Array(back.readableBytesView) == Array(all[..<length]))
            }
        }
    }

    @Test("a compressed message follows earlier output, for every length of its header")
    func behindOthers() throws {
        let noise = ConformanceDeflateTests.Corpus.noise.bytes(65_540)
        var lengths: Set<UInt8> = []
        // Compressed noise is a few bytes longer: these lengths give results on both sides of 125 and of 65,535.
        for length in [1] + Array(117...123) + Array(65_490...65_540) {
            for (role, other) in [(WebSocketRole.client, WebSocketRole.server), (.server, .client)] {
                var connection = Connection(role: role, limits: .unlimited, deflate: agreement())
                var out = ByteBuffer()
                try connection.encodeMessage(.binary, payload: buffer("before"), compress: false, into: &out)
                try connection.encodeMessage(.binary, payload: buffer(noise[..<length]), into: &out)
                try connection.encodeMessage(.text, payload: buffer("behind"), into: &out)
                lengths.insert(Array(out.readableBytesView)[role == .server ? 9 : 13] & 0x7F)
                let outcome = feed([Array(out.readableBytesView)], other, deflate: agreement())
                let expected = [binary(Array("before".utf8)), binary(Array(noise[..<length])), text("behind")]
                #expect(outcome == Outcome(events: expected), "\(length) from \(role)")
            }
        }
        #expect(lengths.isSuperset(of: [125, 126, 127]))
    }

    @Test("if a message does not shrink, the output has nothing of the compressed one")
    func attempt() throws {
        var connection = Connection(role: .server, deflate: agreement(noContextTakeover: true))
        var out = buffer("before")
        try connection.encodeMessage(.binary, payload: buffer([1, 2, 3]), into: &out)
        #expect(Array(out.readableBytesView) == Array("before".utf8) + hex("8203010203"))
    }

    @Test("options outside their range are clamped to it")
    func optionsOutOfRange() {
        var options = DeflateOptions()
        (options.level, options.memoryLevel) = (77, 0)
        (options.serverMaxWindowBits, options.clientMaxWindowBits) = (8, 16)
        #expect((options.level, options.memoryLevel) == (9, 1))
        #expect((options.serverMaxWindowBits, options.clientMaxWindowBits) == (9, 15))
    }

    @Test("a window that zlib does not support causes an error, not a trap")
    func impossibleWindow() throws {
        var broken = agreement()
        broken.serverMaxWindowBits = 77
        var connection = Connection(role: .server, deflate: broken)
        var out = ByteBuffer()
        var thrown: WebSocketError?
        do {
            try connection.encodeMessage(.text, payload: buffer("something"), into: &out)
        } catch {
            thrown = error
        }
        #expect(thrown == .compressorFailed)
        #expect(out.readableBytes == 0)
    }
}
