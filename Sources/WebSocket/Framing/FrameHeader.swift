import NIOCore

/// The header of a frame (RFC 6455, section 5.2), 2 to 14 bytes.
///
/// ```
///  byte 0     byte 1           0, 2 or 8 bytes   0 or 4 bytes
/// +-+-+-+-+--+-+--------------+-----------------+-------------+
/// |F|R|R|R|op|M| length (7)   | length (16, 64) | masking key | payload ...
/// +-+-+-+-+--+-+--------------+-----------------+-------------+
/// ```
///
/// RSV1 marks a compressed message (RFC 7692, section 6); the other two reserved bits are undefined.
public struct FrameHeader: Sendable, Equatable {
    /// The longest header, bytes.
    public static let maximumBytes = 14
    /// The longest payload of a control frame, bytes (section 5.5).
    public static let maximumControlPayload = 125

    /// FIN: the frame is the last or only one of its message.
    public var isFinal: Bool
    /// RSV1: the message is compressed. Set only on the first frame of a message.
    public var isCompressed: Bool
    /// The frame's opcode.
    public var opcode: Opcode
    /// The masking key with its first byte in the lowest eight bits; nil for an unmasked frame.
    public var maskingKey: UInt32?
    /// The length of the payload, bytes; never negative.
    public var payloadLength: Int

    /// Creates a header without checks, so that tests can break the rules.
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

    /// Appends the header with the shortest form of the length. A negative length is encoded as zero.
    public func encode(into out: inout ByteBuffer) {
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.maximumBytes) { write(to: $0) }
    }

    /// Appends the header and the payload, masked if there is a key. The caller writes the rest if both parts are
    /// shorter than `payloadLength`.
    ///
    /// One write covers everything: a write and its capacity check cost more than encoding the header.
    func encode(_ prefix: ByteBuffer, _ payload: ByteBuffer, into out: inout ByteBuffer) {
        let limit = Self.maximumBytes + prefix.readableBytes + payload.readableBytes
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: limit) { room in
            let start = write(to: room)
            let end = copy(prefix, to: start, in: room, payloadStart: start)
            return copy(payload, to: end, in: room, payloadStart: start)
        }
    }

    /// Copies a part of the payload, masked if there is a key, and returns the offset of its end.
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

    /// Writes the header to the beginning of `room`, which must hold `maximumBytes`, and returns the header's length.
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

    /// Inserts the header at `start` and moves the payload behind it, masked if there is a key.
    ///
    /// The payload is the last `payloadLength` bytes of `out`, and begins `maximumBytes` after `start`. This serves
    /// payloads whose length is known only after they are written.
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
