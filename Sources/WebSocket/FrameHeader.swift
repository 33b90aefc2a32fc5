import NIOCore

/// The header of a frame (RFC 6455 section 5.2), 2 to 14 bytes.
///
/// ```
///  byte 0     byte 1           0, 2 or 8 bytes   0 or 4 bytes
/// +-+-+-+-+--+-+--------------+-----------------+-------------+
/// |F|R|R|R|op|M| length (7)   | length (16, 64) | masking key | payload ...
/// +-+-+-+-+--+-+--------------+-----------------+-------------+
/// ```
///
/// RSV1 says that a message is compressed (RFC 7692 section 6); the other two reserved bits have no meaning yet.
public struct FrameHeader: Sendable, Equatable {
    /// The longest header, in bytes.
    public static let maximumBytes = 14
    /// The longest payload of a control frame, in bytes (section 5.5).
    public static let maximumControlPayload = 125

    /// FIN: the frame is the last or only one of its message.
    public var isFinal: Bool
    /// RSV1, on the first frame of a message only: the message is compressed.
    public var isCompressed: Bool
    /// What the frame is.
    public var opcode: Opcode
    /// The masking key, its first byte on the wire in the lowest eight bits, or nil for an unmasked frame.
    public var maskingKey: UInt32?
    /// The length of the payload that follows, in bytes; never negative.
    public var payloadLength: Int

    /// A header of these parts. Nothing is checked: tests may make one that breaks the rules.
    public init(
        isFinal: Bool = true,
        isCompressed: Bool = false,
        opcode: Opcode,
        maskingKey: UInt32? = nil,
        payloadLength: Int
    ) {
        self.isFinal = isFinal
        self.isCompressed = isCompressed
        self.opcode = opcode
        self.maskingKey = maskingKey
        self.payloadLength = payloadLength
    }

    /// Appends the header with the shortest form of the length. A negative length is written as none.
    public func encode(into out: inout ByteBuffer) {
        let length = UInt64(clamping: payloadLength)
        let first = (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue
        let masked: UInt8 = maskingKey == nil ? 0 : 0x80
        switch length {
        case 0...125:
            out.writeMultipleIntegers(first, masked | UInt8(truncatingIfNeeded: length))
        case 126...0xFFFF:
            out.writeMultipleIntegers(first, masked | 126, UInt16(truncatingIfNeeded: length))
        default:
            out.writeMultipleIntegers(first, masked | 127, length)
        }
        if let maskingKey {
            out.writeInteger(maskingKey, endianness: .little)
        }
    }

    /// Appends the header and the payload, masked when there is a key. The two parts together must be as long as
    /// `payloadLength` says.
    func encode(_ prefix: ByteBuffer, _ payload: ByteBuffer, into out: inout ByteBuffer) {
        out.reserveCapacity(minimumWritableBytes: Self.maximumBytes + payloadLength)
        encode(into: &out)
        if let maskingKey {
            Masking.append(prefix, key: maskingKey, phase: 0, to: &out)
            Masking.append(payload, key: maskingKey, phase: prefix.readableBytes, to: &out)
        } else {
            out.writeImmutableBuffer(prefix)
            out.writeImmutableBuffer(payload)
        }
    }

    /// Puts the header at `start` and behind it the payload, masked when there is a key, which is the last
    /// `payloadLength` bytes of `out` and begins `maximumBytes` after `start`: the place for a payload of which the
    /// length is known only once it is there.
    func encode(at start: Int, in out: inout ByteBuffer) {
        let payloadStart = start + Self.maximumBytes
        out.moveWriterIndex(to: start)
        encode(into: &out)
        let gap = payloadStart - out.writerIndex
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: gap + payloadLength) { room in
            let payload = UnsafeMutableRawBufferPointer(rebasing: room.prefix(payloadLength))
            payload.copyMemory(from: UnsafeRawBufferPointer(rebasing: room[gap..<gap + payloadLength]))
            if let maskingKey { Masking.apply(maskingKey, phase: 0, to: payload) }
            return payloadLength
        }
    }
}
