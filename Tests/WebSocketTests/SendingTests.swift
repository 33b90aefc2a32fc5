import NIOCore
import TestSupport
import Testing

@testable import WebSocket

/// Masks and sent frames: W3, W32, W34 and W35 (RFC 6455, sections 5.3 and 10.3).
@Suite struct SendingTests {
    @Test("W32 masking agrees with the naive model for many lengths, every offset and every phase")
    func maskTable() {
        let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        let word: UInt32 = 0x3D21_FA37
        for length in Array(0...17) + [31, 32, 33, 257] {
            let plain = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
            for phase in 0..<8 {
                let expected = naiveMask(plain, key, phase: phase)
                for offset in 0..<9 {
                    let padding = [UInt8](repeating: 0xEE, count: offset)
                    var inPlace = padding + plain + padding
                    inPlace.withUnsafeMutableBytes { bytes in
                        Masking.apply(word, phase: phase, to: .init(rebasing: bytes[offset..<offset + length]))
                    }
                    #expect(inPlace == padding + expected + padding)

                    var source = buffer(padding + plain)
                    source.moveReaderIndex(forwardBy: offset)
                    for before in [0, 1, 3] {
                        var out = buffer([UInt8](repeating: 1, count: before))
                        Masking.append(source, key: word, phase: phase, to: &out)
                        #expect(Array(out.readableBytesView) == [UInt8](repeating: 1, count: before) + expected)
                    }
                }
            }
        }
    }

    @Test("W32 a client's message is masked with one phase over prefix and payload", arguments: 0...17)
    func prefixAndPayload(split: Int) throws {
        let bytes = (0..<17).map { UInt8($0) }
        var connection = Connection(role: .client, masks: MaskSource(generator: FixedGenerator()))
        var out = buffer("before")
        try connection.encodeMessage(
            .binary,
            prefix: buffer(bytes[..<split]),
            payload: buffer(bytes[split...]),
            into: &out
        )
        #expect(out == buffer(Array("before".utf8) + masked(0x82, bytes)))
    }

    @Test("W32 a server unmasks in place or by copy, and leaves other bytes unchanged")
    func unmaskingSharedAndOwned() throws {
        let bytes = masked(0x82, (0..<40).map { UInt8($0) }) + masked(0x81, "second") + masked(0x82, [1, 2, 3])
        let expected = [binary((0..<40).map { UInt8($0) }), text("second"), binary([1, 2, 3])]
        let shared = buffer(bytes)
        var connection = Connection(role: .server)
        for _ in 0..<2 {
            var outcome = Outcome()
            connection.receive(shared)
            connection.drain(into: &outcome)
            #expect(outcome.events == expected)
        }
        #expect(shared == buffer(bytes), "a shared buffer is never written to")
        #expect(feed([bytes], .server).events == expected)
    }

    @Test("W3 every frame, also a control frame, has a fresh mask from the generator")
    func freshMasks() throws {
        var connection = Connection(role: .client, masks: MaskSource(generator: SplitMix64(state: 1)))
        var model = SplitMix64(state: 1)
        for _ in 0..<8 {
            let bits = model.next()
            for key in [UInt32(truncatingIfNeeded: bits), UInt32(truncatingIfNeeded: bits >> 32)] {
                var out = buffer("")
                try connection.encodeMessage(.text, payload: buffer(""), into: &out)
                #expect(out.getInteger(at: 2, endianness: .little, as: UInt32.self) == key)
            }
        }
        try connection.ping(buffer("x"))
        let taken = connection.takeOutput()
        let ping = try #require(taken)
        #expect(ping.getInteger(at: 2, endianness: .little) == UInt32(truncatingIfNeeded: model.next()))

        var system = MaskSource()
        var seen: Set<UInt32> = []
        for _ in 0..<1000 { seen.insert(system.next()) }
        #expect(seen.count > 990)
    }

    @Test("W34 a client's output never contains the plain payload")
    func alwaysMasked() throws {
        var connection = Connection(role: .client, masks: MaskSource(generator: SplitMix64(state: 5)))
        var out = buffer("")
        try connection.encodeMessage(.binary, payload: buffer("GET /poison HTTP/1.1"), into: &out)
        #expect(!String(buffer: out).contains("GET"))
        #expect(throws: WebSocketError.payloadNeedsMask) {
            try connection.encodeMessageHead(.binary, payloadLength: 3, into: &out)
        }
    }

    @Test("a server's head, prefix and payload by reference are the same bytes as one message")
    func headAndPayload() throws {
        for length in [0, 3, 122, 123, 65532, 65533] {
            let payload = buffer([UInt8](repeating: 5, count: length))
            var connection = Connection(role: .server)
            var whole = buffer("")
            var head = buffer("")
            try connection.encodeMessage(.text, prefix: buffer("abc"), payload: payload, into: &whole)
            try connection.encodeMessageHead(.text, prefix: buffer("abc"), payloadLength: length, into: &head)
            head.writeImmutableBuffer(payload)
            #expect(head == whole)
            #expect(feed([Array(whole.readableBytesView)], .client).events.count == 1)
        }
        var connection = Connection(role: .server)
        var out = buffer("")
        for length in [-1, Int.min, Int.max] {
            #expect(throws: WebSocketError.impossibleLength) {
                try connection.encodeMessageHead(.text, prefix: buffer("a"), payloadLength: length, into: &out)
            }
        }
        #expect(out.readableBytes == 0)
    }

    @Test("pings to send are limited in size and number, and a refused ping does not end the connection")
    func ownPings() throws {
        var connection = Connection(role: .server, limits: WebSocketLimits(maximumQueuedControlBytes: 4))
        #expect(throws: WebSocketError.controlPayloadTooLong) {
            try connection.ping(buffer([UInt8](repeating: 0, count: 126)))
        }
        try connection.ping(buffer("ab"))
        #expect(throws: WebSocketError.controlQueueFull) { try connection.ping() }
        let sent = connection.takeOutput()
        #expect(sent == buffer(hex("8902 6162")))
        let more = connection.takeOutput()
        #expect(more == nil)
        try connection.ping()
        let isOpen = connection.isOpen
        #expect(isOpen)
    }

    @Test("W35 a declared length reserves nothing; an unmasked payload shares memory with the received buffer")
    func memory() throws {
        var connection = Connection(role: .client, limits: .unlimited)
        let read = buffer(hex("827f7fffffffffffffff 2a"))
        connection.receive(read)
        guard case .message(.binary, let chunk, isFirst: true, isLast: false) = try connection.nextEvent() else {
            Issue.record("no chunk")
            return
        }
        #expect(chunk.readableBytes == 1)
        #expect(chunk.storageCapacity <= read.storageCapacity)
        let addresses = [chunk, read].map { $0.withVeryUnsafeBytes { $0.baseAddress } }
        // The slice starts ten bytes after the first byte of the read.
        #expect(addresses[0] == addresses[1].map { $0 + 10 } || addresses[0] == addresses[1])
        let next = try connection.nextEvent()
        #expect(next == nil)
    }
}
