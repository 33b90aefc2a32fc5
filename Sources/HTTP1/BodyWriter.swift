import NIOCore

/// Frames the content of one message's body.
public struct BodyWriter: Sendable {
    /// Content up to this size is copied into one buffer with its chunk's size and end.
    private static let copied = 4_096

    private let isChunked: Bool

    /// Creates a writer. The sender's content has the declared length, or ends with the connection, unless the framing is
    /// `chunked`.
    public init(_ framing: BodyFraming) {
        isChunked = framing == .chunked
    }

    /// Frames content.
    ///
    /// - Parameter emit: called for each buffer to send, in order.
    public func write(_ content: ByteBuffer, _ emit: (ByteBuffer) -> Void) {
        guard isChunked else { return emit(content) }
        // An empty chunk would be the last one.
        guard content.readableBytes > 0 else { return }
        var buffer = ByteBuffer()
        buffer.writeString(String(content.readableBytes, radix: 16))
        buffer.writeString("\r\n")
        if content.readableBytes <= Self.copied {
            buffer.writeImmutableBuffer(content)
            buffer.writeString("\r\n")
            emit(buffer)
        } else {
            emit(buffer)
            emit(content)
            emit(Self.lineEnd)
        }
    }

    /// Ends the body. Trailer fields are dropped unless the framing is `chunked`.
    public func end(trailers: HeaderFields, _ emit: (ByteBuffer) -> Void) {
        guard isChunked else { return }
        var buffer = ByteBuffer(string: "0\r\n")
        trailers.serialize(into: &buffer)
        emit(buffer)
    }

    private static let lineEnd = ByteBuffer(string: "\r\n")
}
