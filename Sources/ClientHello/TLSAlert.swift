import NIOCore

/// The fatal alerts of a server that does not serve a ClientHello (RFC 8446, section 6.2).
///
/// Before a handshake nothing is encrypted, so the alert is a plain record. The client's program reports it by name, which
/// a closed connection does not explain.
public enum TLSAlert: UInt8, Sendable, Hashable, CaseIterable {
    /// A message that cannot come here.
    case unexpectedMessage = 10
    /// A record that is too long.
    case recordOverflow = 22
    /// No common way to continue.
    case handshakeFailure = 40
    /// A value that contradicts another, or is out of range.
    case illegalParameter = 47
    /// A length that does not fit.
    case decodeError = 50
    /// A failure of the server itself.
    case internalError = 80
    /// The server has no such name (RFC 6066, section 3).
    case unrecognizedName = 112
    /// None of the client's protocols is spoken here (RFC 7301, section 3.2).
    case noApplicationProtocol = 120

    /// The record of the alert with level fatal. Nothing may follow it.
    public var record: ByteBuffer {
        // Type alert, version 3.3, two bytes: level fatal and the description.
        ByteBuffer(bytes: [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, rawValue])
    }
}
