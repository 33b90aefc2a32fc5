import NIOCore

/// What a message is made of (RFC 6455 section 5.6).
public enum MessageKind: Sendable {
    /// UTF-8 text.
    case text
    /// Bytes of any kind.
    case binary

    var opcode: Opcode { self == .text ? .text : .binary }
}

/// Something that the peer sent.
public enum WebSocketEvent: Equatable, Sendable {
    /// A piece of a message's payload, unmasked, in order. `isLast` marks the message's end.
    ///
    /// A piece is empty only when it is the last one. Where the pieces are cut says nothing: it follows neither the
    /// peer's fragments nor the network's segments. The bytes share memory with the buffer that was received: copy
    /// what is kept for long. Text is valid UTF-8 up to here, though a scalar may be cut at a piece's end.
    case message(MessageKind, ByteBuffer, isFirst: Bool, isLast: Bool)
    /// A Ping. The Pong is in the output already, unless our Close has gone before.
    case ping(ByteBuffer)
    /// A Pong, asked for or not.
    case pong(ByteBuffer)
    /// The peer's Close. The answer is in the output already, unless our Close has gone before. Nothing follows.
    ///
    /// The code is nil when the frame had none. The reason is valid UTF-8 and otherwise the peer's: escape it before it
    /// is shown or logged.
    case close(CloseCode?, reason: String)
}
