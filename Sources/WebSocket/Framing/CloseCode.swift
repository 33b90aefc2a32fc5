/// Why a connection was closed (RFC 6455 section 7.4 and the IANA registry).
public struct CloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number, as it stands in a Close frame.
    public let rawValue: UInt16

    /// The code with that number, whether or not it may be sent.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// 1000: the purpose of the connection is fulfilled.
    public static let normal = CloseCode(rawValue: 1000)
    /// 1001: the server shuts down, or the browser leaves the page.
    public static let goingAway = CloseCode(rawValue: 1001)
    /// 1002: the peer broke the protocol.
    public static let protocolError = CloseCode(rawValue: 1002)
    /// 1003: a kind of data that this end does not take, such as text where only binary is spoken.
    public static let unsupportedData = CloseCode(rawValue: 1003)
    /// 1005: a Close frame without a code. Never on the wire.
    public static let noStatus = CloseCode(rawValue: 1005)
    /// 1006: the connection ended without a Close frame. Never on the wire.
    public static let abnormal = CloseCode(rawValue: 1006)
    /// 1007: data that does not fit the message's kind, such as text that is not UTF-8.
    public static let invalidPayload = CloseCode(rawValue: 1007)
    /// 1008: a policy of this end was violated, and no other code fits.
    public static let policyViolation = CloseCode(rawValue: 1008)
    /// 1009: a message beyond what this end takes.
    public static let messageTooBig = CloseCode(rawValue: 1009)
    /// 1010: the client misses an extension that it needs.
    public static let mandatoryExtension = CloseCode(rawValue: 1010)
    /// 1011: something unforeseen at the sender.
    public static let internalError = CloseCode(rawValue: 1011)
    /// 1012: the server restarts.
    public static let serviceRestart = CloseCode(rawValue: 1012)
    /// 1013: the server is overloaded; try again later.
    public static let tryAgainLater = CloseCode(rawValue: 1013)
    /// 1014: a gateway got a bad answer from the server behind it.
    public static let badGateway = CloseCode(rawValue: 1014)
    /// 1015: the TLS handshake failed. Never on the wire.
    public static let tlsHandshake = CloseCode(rawValue: 1015)

    /// True when the code may stand in a Close frame: the assigned ones but 1005, 1006 and 1015, and 3000 to 4999, which
    /// belong to libraries and applications (section 7.4.2).
    public var isValidOnWire: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    /// The number in decimal digits.
    public var description: String { String(rawValue) }
}
