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
    /// The kind of frame.
    public let type: FrameType
    /// The stream it belongs to, or `.session`.
    public let stream: StreamID

    /// Creates a header; the caller's own types make sure that type and stream go together.
    public init(_ type: FrameType, _ stream: StreamID = .session) {
        self.type = type
        self.stream = stream
    }

    /// Reads and checks a header.
    ///
    /// - Throws: ``MuxError`` for an unknown type, set flags or reserved bits, or a stream number that does not suit
    ///   the type.
    init(reading bytes: inout ByteBuffer) throws(MuxError) {
        guard
            let type = bytes.readInteger(as: UInt8.self),
            let flags = bytes.readInteger(as: UInt8.self),
            let reserved = bytes.readInteger(as: UInt16.self),
            let stream = bytes.readInteger(as: UInt32.self)
        else { throw MuxError(.frameLength, "a frame is shorter than its header") }
        guard let known = FrameType(rawValue: type) else {
            throw MuxError(.unknownType, "frame type \(type)")
        }
        guard flags == 0, reserved == 0 else {
            throw MuxError(.reservedBits, "\(known) frame with flags \(flags), reserved \(reserved)")
        }
        guard known.isOfStream == (stream != 0) else {
            throw MuxError(.streamNumber, "\(known) frame with stream \(stream)")
        }
        self.init(known, StreamID(stream))
    }

    /// Appends the header's bytes.
    public func write(into out: inout ByteBuffer) {
        out.writeMultipleIntegers(type.rawValue, UInt8(0), UInt16(0), stream.rawValue)
    }
}
