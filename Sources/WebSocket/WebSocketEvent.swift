import NIOCore

/// An event from the peer.
public enum WebSocketEvent: Equatable, Sendable {
    /// A chunk of a message's payload, unmasked and in order. `isLast` marks the end of the message.
    ///
    /// Only the last chunk may be empty. Chunk boundaries have no meaning: they follow neither the peer's fragments nor
    /// the network's segments. The bytes share memory with the received buffer, so copy what is kept for long. Text is
    /// valid UTF-8 so far, but the chunk may end inside a scalar.
    case message(MessageKind, ByteBuffer, isFirst: Bool, isLast: Bool)
    /// A Ping. The Pong is already in the output, unless this end has sent Close.
    case ping(ByteBuffer)
    /// A Pong, requested or not.
    case pong(ByteBuffer)
    /// The peer's Close, the last event. The answer is already in the output, unless this end has sent Close.
    ///
    /// The code is nil if the frame had none. The reason is valid UTF-8 of the peer's choice: escape it before display
    /// or logging.
    case close(CloseCode?, reason: String)
}
