/// The reason why the beginning of a connection is not a ClientHello that can be served.
///
/// Contains no text of the peer, so it may be logged without escaping.
public enum ClientHelloError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The first bytes are not a TLS record: a request in plain text, SSH, random bytes.
    case notTLS
    /// A hello in the format of SSL 2, which RFC 8446, appendix D.5, forbids.
    case sslv2
    /// The client sent an alert instead of a hello, or within one.
    case alert
    /// A record of another type than handshake.
    case unexpectedRecord
    /// A record without content, which RFC 8446, section 5.1, forbids for handshakes.
    case emptyRecord
    /// A record of more than 16 KiB.
    case recordTooLong
    /// A message of more than ``ClientHelloReader/maximumMessageBytes``.
    case helloTooLong
    /// So many small records that the hello takes more than ``ClientHelloReader/maximumWireBytes``.
    case tooManyRecords
    /// A handshake message other than ClientHello.
    case notClientHello
    /// A length that does not fit, or an illegal value, in this part.
    case malformed(Part)
    /// An extension that occurs twice (RFC 8446, section 4.2).
    case duplicateExtension(UInt16)

    /// The parts of a hello.
    public enum Part: String, Sendable, Hashable {
        /// The version in the header of a record after the first.
        case recordVersion = "record version"
        /// The message's length, or bytes behind the message in its last record.
        case message = "message"
        /// The version, random and session identifier.
        case sessionID = "session identifier"
        /// The list of cipher suites.
        case cipherSuites = "cipher suites"
        /// The list of compression methods.
        case compressionMethods = "compression methods"
        /// The list of extensions.
        case extensions = "extensions"
        /// The server_name extension, or a name that is not a host name.
        case serverName = "server name"
        /// The extension of ALPN.
        case applicationProtocols = "application protocols"
        /// The supported_versions extension.
        case supportedVersions = "supported versions"
    }

    /// The alert that a server answers with; nil if the peer does not speak TLS, or has ended the handshake itself.
    public var answer: TLSAlert? {
        switch self {
        case .notTLS, .alert: nil
        case .sslv2: .handshakeFailure
        case .unexpectedRecord, .emptyRecord, .notClientHello: .unexpectedMessage
        case .recordTooLong: .recordOverflow
        case .helloTooLong, .tooManyRecords, .duplicateExtension: .illegalParameter
        case .malformed: .decodeError
        }
    }

    /// A description without any of the peer's bytes.
    public var description: String {
        switch self {
        case .notTLS: "not TLS"
        case .sslv2: "a hello of SSL 2"
        case .alert: "a TLS alert in place of a hello"
        case .unexpectedRecord: "a TLS record that is not of a handshake"
        case .emptyRecord: "an empty TLS record"
        case .recordTooLong: "TLS record too long"
        case .helloTooLong: "ClientHello too long"
        case .tooManyRecords: "ClientHello in too many records"
        case .notClientHello: "a handshake message other than ClientHello"
        case .malformed(let part): "malformed ClientHello: \(part.rawValue)"
        case .duplicateExtension(let type): "malformed ClientHello: extension \(type) twice"
        }
    }
}
