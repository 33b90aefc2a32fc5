import NIOCore

/// A frame on its way to the carrier: header and payload apart, so that the payload can travel without being copied.
public struct OutboundFrame: Sendable, Hashable {
    /// What stands before the payload.
    public let header: FrameHeader
    /// The payload, complete.
    public let payload: ByteBuffer

    /// Creates a frame of `type` on `stream`.
    public init(_ type: FrameType, _ stream: StreamID = .session, _ payload: ByteBuffer = ByteBuffer()) {
        self.header = FrameHeader(type, stream)
        self.payload = payload
    }

    /// Creates a frame whose payload is one 64-bit number: CREDIT, PING, PONG, ACK.
    init(_ type: FrameType, _ stream: StreamID = .session, number: UInt64) {
        self.init(type, stream, ByteBuffer(integer: number))
    }

    /// Bytes on the wire, header included.
    public var length: Int { MuxLimits.headerLength + payload.readableBytes }
}
