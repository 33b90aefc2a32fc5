import NIOCore

/// A frame to send, with header and payload apart so that the payload need not be copied.
public struct OutboundFrame: Sendable, Hashable {
    /// The header.
    public let header: FrameHeader
    /// The complete payload.
    public let payload: ByteBuffer

    /// Creates a frame of `type` on `stream`.
    public init(_ type: FrameType, _ stream: StreamID = .session, _ payload: ByteBuffer = ByteBuffer()) {
        self.header = FrameHeader(type, stream)
        self.payload = payload
    }

    /// Creates a CREDIT, PING, PONG or ACK, whose payload is one 64-bit number.
    init(_ type: FrameType, _ stream: StreamID = .session, number: UInt64) {
        self.init(type, stream, ByteBuffer(integer: number))
    }

    /// Bytes on the wire, header included.
    public var length: Int { MuxLimits.headerLength + payload.readableBytes }
}
