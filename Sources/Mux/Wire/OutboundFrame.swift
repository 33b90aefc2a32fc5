import NIOCore

/// A frame to send, with header and payload apart so that the payload need not be copied.
public struct OutboundFrame: Sendable, Hashable {
    /// The header.
    public let header: FrameHeader
    /// The payload, without the offset of DATA.
    public let payload: ByteBuffer
    /// The offset of the first byte of DATA in its stream; 0 for other frames. It is sent if the header has its
    /// flag.
    public let offset: UInt64

    /// Creates a frame of `type` on `stream`.
    public init(_ type: FrameType, _ stream: StreamID = .session, _ payload: ByteBuffer = ByteBuffer()) {
        self.header = FrameHeader(type, stream)
        self.payload = payload
        self.offset = 0
    }

    /// Creates a DATA frame.
    ///
    /// - Parameters:
    ///   - offset: the offset of its first byte in the stream.
    ///   - showsOffset: whether the offset is sent.
    init(data payload: ByteBuffer, of stream: StreamID, at offset: UInt64, showsOffset: Bool) {
        self.header = FrameHeader(.data, stream, hasOffset: showsOffset)
        self.payload = payload
        self.offset = offset
    }

    /// The same frame for another lane than its first one. DATA then needs its offset.
    var moved: OutboundFrame {
        guard header.type == .data else { return self }
        return OutboundFrame(data: payload, of: header.stream, at: offset, showsOffset: true)
    }

    /// Appends the header, and the offset if it is sent.
    public func writeHead(into out: inout ByteBuffer) {
        header.write(into: &out)
        if header.hasOffset { out.writeInteger(offset) }
    }

    /// Creates a CREDIT, PING, PONG or ACK, whose payload is one 64-bit number.
    init(_ type: FrameType, _ stream: StreamID = .session, number: UInt64) {
        self.init(type, stream, ByteBuffer(integer: number))
    }

    /// Bytes on the wire, header included.
    public var length: Int {
        MuxLimits.headerLength + (header.hasOffset ? FrameHeader.offsetLength : 0) + payload.readableBytes
    }
}
