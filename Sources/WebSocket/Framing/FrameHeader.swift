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
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.maximumBytes) { write(to: $0) }
    }

    /// Appends the header and the payload, masked when there is a key. The two parts together must be as long as
    /// `payloadLength` says, save where what is missing is written behind them by whoever calls.
    ///
    /// All at once: to write to a buffer, and to look whether it has room, costs more than a header does.
    func encode(_ prefix: ByteBuffer, _ payload: ByteBuffer, into out: inout ByteBuffer) {
        let most = Self.maximumBytes + prefix.readableBytes + payload.readableBytes
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: most) { room in
            let start = write(to: room)
            let end = copy(prefix, to: start, in: room, payloadStart: start)
            return copy(payload, to: end, in: room, payloadStart: start)
        }
    }

    /// Copies a part of the payload to its place, masked when there is a key; gives back where it ends.
    private func copy(
        _ part: ByteBuffer,
        to place: Int,
        in room: UnsafeMutableRawBufferPointer,
        payloadStart: Int
    ) -> Int {
        part.withUnsafeReadableBytes { bytes in
            let destination = UnsafeMutableRawBufferPointer(rebasing: room[place...])
            if let maskingKey {
                Masking.copy(bytes, to: destination, key: maskingKey, phase: place - payloadStart)
            } else {
                destination.copyMemory(from: bytes)
            }
            return place + bytes.count
        }
    }

    /// Writes the header to the beginning of `room`, which must take `maximumBytes`; gives back its length.
    private func write(to room: UnsafeMutableRawBufferPointer) -> Int {
        let length = UInt64(clamping: payloadLength)
        let masked: UInt8 = maskingKey == nil ? 0 : 0x80
        var count: Int
        room[0] = (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue
        switch length {
        case 0...125:
            room[1] = masked | UInt8(truncatingIfNeeded: length)
            count = 2
        case 126...0xFFFF:
            room[1] = masked | 126
            room.storeBytes(of: UInt16(truncatingIfNeeded: length).bigEndian, toByteOffset: 2, as: UInt16.self)
            count = 4
        default:
            room[1] = masked | 127
            room.storeBytes(of: length.bigEndian, toByteOffset: 2, as: UInt64.self)
            count = 10
        }
        if let maskingKey {
            room.storeBytes(of: maskingKey.littleEndian, toByteOffset: count, as: UInt32.self)
            count += 4
        }
        return count
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
