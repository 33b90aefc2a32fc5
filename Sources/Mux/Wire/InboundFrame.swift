import NIOCore

/// A complete frame from the peer with a checked header.
public struct InboundFrame: Sendable {
    /// The checked header.
    public let header: FrameHeader
    /// The payload in the chunks in which it arrived; none is empty.
    public let pieces: [ByteBuffer]
    /// Bytes in all chunks.
    public let payloadLength: Int
    /// The offset of the first byte of DATA in its stream; nil if DATA follows the bytes that have arrived.
    public var offset: UInt64?

    /// The payload in one buffer; copies only if it arrived in several chunks.
    public var payload: ByteBuffer {
        guard var joined = pieces.first else { return ByteBuffer() }
        for piece in pieces.dropFirst() {
            joined.writeImmutableBuffer(piece)
        }
        return joined
    }

    /// The same frame in buffers of their own size, for a frame that waits: a slice would keep its whole read alive.
    public var dense: InboundFrame {
        InboundFrame(
            header: header,
            pieces: pieces.map { $0.dense(from: 2) },
            payloadLength: payloadLength,
            offset: offset
        )
    }

    /// Capacity of the chunks' buffers, bytes.
    public var storage: Int { pieces.reduce(0) { $0 + $1.storageCapacity } }

    /// The number that CREDIT, PING, PONG and ACK carry. The assembler has checked its length.
    var number: UInt64 {
        var payload = payload
        return payload.readInteger() ?? 0
    }
}
