/// The kind of a message (RFC 6455, section 5.6).
public enum MessageKind: Sendable {
    /// UTF-8 text.
    case text
    /// Arbitrary bytes.
    case binary

    var opcode: Opcode { self == .text ? .text : .binary }
}
