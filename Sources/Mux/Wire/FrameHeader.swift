import NIOCore

/// The eight bytes before each payload (protocol page, section 1).
///
/// ```
///  0       1       2               4                               8
/// +-------+-------+---------------+-------------------------------+
/// | type  | flags |   reserved    |           stream              |
/// +-------+-------+---------------+-------------------------------+
/// ```
public struct FrameHeader: Sendable, Hashable {
    /// The type of the frame.
    public let type: FrameType
    /// The frame's stream, or `.session`.
    public let stream: StreamID
    /// Whether the payload of DATA begins with the offset of its first byte.
    public let hasOffset: Bool

    /// The flag of DATA with an offset.
    static let offsetFlag: UInt8 = 1
    /// Length of that offset, bytes.
    static let offsetLength = 8

    /// Creates a header. The callers ensure that type, stream and offset match.
    public init(_ type: FrameType, _ stream: StreamID = .session, hasOffset: Bool = false) {
        self.type = type
        self.stream = stream
        self.hasOffset = hasOffset
    }

    /// Reads and checks a header.
    ///
    /// - Throws: ``MuxError`` if the header is cut short, the type is unknown, flags or reserved bits are set, or the
    ///   stream does not suit the type.
    init(reading bytes: inout ByteBuffer) throws(MuxError) {
        // Read and written as one number: each access to a buffer costs as much as copying eight bytes.
        guard let bits = bytes.readInteger(as: UInt64.self) else {
            throw MuxError(.frameLength, "a frame is shorter than its header")
        }
        let type = UInt8(truncatingIfNeeded: bits >> 56)
        let flags = UInt8(truncatingIfNeeded: bits >> 48)
        let reserved = UInt16(truncatingIfNeeded: bits >> 32)
        let stream = UInt32(truncatingIfNeeded: bits)
        guard let known = FrameType(rawValue: type) else {
            throw MuxError(.unknownType, "frame type \(type)")
        }
        let hasOffset = known == .data && flags == Self.offsetFlag
        guard flags == 0 || hasOffset, reserved == 0 else {
            throw MuxError(.reservedBits, "\(known) frame with flags \(flags), reserved \(reserved)")
        }
        guard known.isOfStream == (stream != 0) else {
            throw MuxError(.streamNumber, "\(known) frame with stream \(stream)")
        }
        self.init(known, StreamID(stream), hasOffset: hasOffset)
    }

    /// Appends the header's bytes.
    public func write(into out: inout ByteBuffer) {
        let flags = hasOffset ? Self.offsetFlag : 0
        out.writeInteger(UInt64(type.rawValue) << 56 | UInt64(flags) << 48 | UInt64(stream.rawValue))
    }
}
