/// The reason for closing a connection (RFC 6455, section 7.4, and the IANA registry).
public struct CloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number in a Close frame.
    public let rawValue: UInt16

    /// Creates a code from any number, whether or not it may be sent.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// 1000: the connection has fulfilled its purpose.
    public static let normal = CloseCode(rawValue: 1000)
    /// 1001: the server shuts down, or the browser leaves the page.
    public static let goingAway = CloseCode(rawValue: 1001)
    /// 1002: the peer broke the protocol.
    public static let protocolError = CloseCode(rawValue: 1002)
    /// 1003: a kind of data that this end does not accept, such as text.
    public static let unsupportedData = CloseCode(rawValue: 1003)
    /// 1005: a Close frame without a code. Never sent.
    public static let noStatus = CloseCode(rawValue: 1005)
    /// 1006: the connection ended without a Close frame. Never sent.
    public static let abnormal = CloseCode(rawValue: 1006)
    /// 1007: data that does not match its kind, such as text that is not UTF-8.
    public static let invalidPayload = CloseCode(rawValue: 1007)
    /// 1008: a violation of this end's policy that no other code describes.
    public static let policyViolation = CloseCode(rawValue: 1008)
    /// 1009: a message that exceeds this end's limits.
    public static let messageTooBig = CloseCode(rawValue: 1009)
    /// 1010: the client requires an extension that the server did not accept.
    public static let mandatoryExtension = CloseCode(rawValue: 1010)
    /// 1011: an unexpected failure of the sender.
    public static let internalError = CloseCode(rawValue: 1011)
    /// 1012: the server restarts.
    public static let serviceRestart = CloseCode(rawValue: 1012)
    /// 1013: the server is overloaded; retry later.
    public static let tryAgainLater = CloseCode(rawValue: 1013)
    /// 1014: a gateway received an invalid answer from its upstream server.
    public static let badGateway = CloseCode(rawValue: 1014)
    /// 1015: the TLS handshake failed. Never sent.
    public static let tlsHandshake = CloseCode(rawValue: 1015)

    /// Whether a Close frame may carry the code: the assigned codes except 1005, 1006 and 1015, and those from 3000 to
    /// 4999 for libraries and applications (section 7.4.2).
    public var isValidOnWire: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}
