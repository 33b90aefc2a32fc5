import NIOCore
import TestSupport
import Testing

@testable import Mux

/// Sections 1 and 2 of the protocol page, as a table whose messages arrive whole, byte by byte and at every split.
@Suite struct FrameTableTests {
    enum Outcome: Equatable {
        case frame(FrameType, UInt32, [UInt8], UInt64? = nil)
        case error(MuxError.Kind)
        case nothing
    }

    static let rows: [(name: String, hex: String, expected: Outcome)] = [
        ("data", "22 00 0000 00000002 6869", .frame(.data, 2, hex("6869"))),
        ("empty data", "22 00 0000 00000002", .frame(.data, 2, [])),
        ("the highest stream", "22 00 0000 ffffffff 00", .frame(.data, .max, [0])),
        ("end", "23 00 0000 00000003 0000000000000009", .frame(.end, 3, hex("0000000000000009"))),
        ("datagram", "26 00 0000 00000002 6869", .frame(.datagram, 2, hex("6869"))),
        ("empty datagram", "26 00 0000 00000002", .frame(.datagram, 2, [])),
        ("M5 datagram on stream 0", "26 00 0000 00000000 00", .error(.streamNumber)),
        ("ping", "30 00 0000 00000000 0102030405060708", .frame(.ping, 0, hex("0102030405060708"))),
        ("credit", "25 00 0000 00000002 ffffffffffffffff", .frame(.credit, 2, [UInt8](repeating: 255, count: 8))),
        ("ack", "32 00 0000 00000000 0000000000000001", .frame(.ack, 0, hex("0000000000000001"))),
        ("accept", "21 00 0000 00000002", .frame(.accept, 2, [])),
        ("challenge without fields", "01 00 0000 00000000", .frame(.challenge, 0, [])),
        ("M3 an empty message", "", .error(.frameLength)),
        ("M3 one byte of header", "22", .error(.frameLength)),
        ("M3 seven bytes of header", "22 00 0000 000000", .error(.frameLength)),
        ("M3 end without its offset", "23 00 0000 00000002", .error(.frameLength)),
        ("M3 end of nine bytes", "23 00 0000 00000002 000000000000000000", .error(.frameLength)),
        ("M3 credit of seven bytes", "25 00 0000 00000002 00000000000000", .error(.frameLength)),
        ("M3 ack of nine bytes", "32 00 0000 00000000 000000000000000000", .error(.frameLength)),
        ("M23 ping of nine bytes", "30 00 0000 00000000 000000000000000000", .error(.frameLength)),
        ("M23 pong without payload", "31 00 0000 00000000", .error(.frameLength)),
        ("data with an offset", "22 01 0000 00000002 0000000000000100 6869", .frame(.data, 2, hex("6869"), 256)),
        ("data with an offset and no bytes", "22 01 0000 00000002 ffffffffffffffff", .frame(.data, 2, [], .max)),
        ("M3 data that is shorter than its offset", "22 01 0000 00000002 00000000000001", .error(.frameLength)),
        ("M3 another flag", "22 02 0000 00000002 00", .error(.reservedBits)),
        ("M3 two flags", "22 03 0000 00000002 0000000000000000", .error(.reservedBits)),
        ("M3 the flag of data on another frame", "23 01 0000 00000002 0000000000000000", .error(.reservedBits)),
        ("M3 a reserved bit", "22 00 8000 00000002 00", .error(.reservedBits)),
        ("M3 the other reserved byte", "22 00 0001 00000002 00", .error(.reservedBits)),
        ("M4 type 0", "00 00 0000 00000000", .error(.unknownType)),
        ("M4 an unassigned type among the handshake's", "07 00 0000 00000000", .error(.unknownType)),
        ("M4 the highest type", "ff 00 0000 00000000", .error(.unknownType)),
        ("M4 an unknown type is reported before its flags", "7f ff ffff ffffffff", .error(.unknownType)),
        ("M5 data on stream 0", "22 00 0000 00000000 00", .error(.streamNumber)),
        ("M5 open of stream 0", "20 00 0000 00000000", .error(.streamNumber)),
        ("M5 ping on a stream", "30 00 0000 00000001 0000000000000000", .error(.streamNumber)),
        ("M5 authenticate on a stream", "02 00 0000 00000001", .error(.streamNumber)),
        ("M5 goaway on a stream", "33 00 0000 00000002", .error(.streamNumber)),
    ]

    /// Gives the chunks of one message to an assembler.
    static func run(_ chunks: [[UInt8]], closing: Bool = true) -> Outcome {
        var assembler = FrameAssembler()
        assembler.isAdmitted = true
        do throws(MuxError) {
            for (index, chunk) in chunks.enumerated() {
                let isLast = closing && index == chunks.count - 1
                guard let frame = try assembler.receive(buffer(chunk), isLast: isLast) else { continue }
                #expect(isLast && !frame.pieces.contains { $0.readableBytes == 0 })
                #expect(frame.payloadLength == frame.payload.readableBytes)
                let payload = Array(frame.payload.readableBytesView)
                return .frame(frame.header.type, frame.header.stream.rawValue, payload, frame.offset)
            }
            return .nothing
        } catch {
            return .error(error.kind)
        }
    }

    @Test("M3 M4 M5 M23 a frame means the same at every split of its message", arguments: rows.indices)
    func table(row: Int) {
        let (name, text, expected) = Self.rows[row]
        everySplit(of: hex(text)) { chunks, how in
            #expect(Self.run(chunks) == expected, "\(name), \(how)")
            #expect(Self.run(chunks + [[]]) == expected, "\(name), \(how), with an empty last chunk")
            #expect(Self.run([[]] + chunks) == expected, "\(name), \(how), with an empty first chunk")
        }
    }

    @Test("M3 no frame is returned before the message's last chunk")
    func waitsForTheEnd() {
        #expect(Self.run([hex("23 00 0000 00000002")], closing: false) == .nothing)
        #expect(Self.run([hex("22 00 0000 00000002 61")], closing: false) == .nothing)
    }

    @Test("every frame that is written reads back the same", arguments: FrameType.allCases)
    func roundTrip(type: FrameType) throws {
        let stream = StreamID(type.isOfStream ? 0xFFFF_FFFE : 0)
        let payload = bytes(type.fixedPayloadLength ?? 3)
        let written = OutboundFrame(type, stream, payload)
        #expect(written.length == written.wire.count)
        everySplit(of: written.wire) { chunks, how in
            #expect(Self.run(chunks) == .frame(type, stream.rawValue, Array(payload.readableBytesView)), "\(how)")
        }
    }

    @Test(
        "frames of the handshake, DATAGRAM, PING, PONG, ACK, RENEW and those about lanes are not counted; all others are"
    )
    func counted() {
        let uncounted: Set<FrameType> = [
            .challenge, .authenticate, .welcome, .resume, .resumed, .refused, .ping, .pong, .ack,
            .renew, .datagram, .retire, .retired, .lost,
        ]
        for type in FrameType.allCases {
            #expect(type.isCounted == !uncounted.contains(type))
            #expect(type.isOpening == (type.rawValue < 0x10))
        }
    }
}
