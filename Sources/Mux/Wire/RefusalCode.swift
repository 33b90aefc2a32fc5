/// The reason why a handshake, a session or a port was refused or ended (protocol page, section 8).
public struct RefusalCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    /// Creates a code from the number on the wire.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Unknown client or wrong proof; the code does not distinguish them.
    public static let credentials = RefusalCode(rawValue: 1)
    /// No common version of the protocol.
    public static let version = RefusalCode(rawValue: 2)
    /// The server has no room now.
    public static let busy = RefusalCode(rawValue: 3)
    /// The server does not know the session to resume.
    public static let unknownSession = RefusalCode(rawValue: 4)
    /// The peer broke the protocol.
    public static let protocolViolation = RefusalCode(rawValue: 5)
    /// The peer restarts or stops.
    public static let goingAway = RefusalCode(rawValue: 6)
    /// A newer carrier or session has taken over.
    public static let replaced = RefusalCode(rawValue: 7)
    /// The client may not use this port.
    public static let portNotAllowed = RefusalCode(rawValue: 8)
    /// Another client or process holds the port.
    public static let portInUse = RefusalCode(rawValue: 9)
    /// The port cannot be bound for another reason.
    public static let bindFailed = RefusalCode(rawValue: 10)
    /// The peer has exceeded a limit.
    public static let limit = RefusalCode(rawValue: 11)

    /// The server wants sealed sessions alone.
    public static let encryption = RefusalCode(rawValue: 12)
    /// The path has denied the client's session in the server's place.
    public static let altered = RefusalCode(rawValue: 13)

    /// Whether another try would be refused too.
    var isForGood: Bool {
        switch self {
        case .credentials, .version, .protocolViolation, .encryption: true
        default: false
        }
    }

    /// The code's meaning, or its number if it is unknown.
    public var description: String {
        switch self {
        case .credentials: "credentials refused"
        case .version: "no common protocol version"
        case .busy: "busy"
        case .unknownSession: "unknown session"
        case .protocolViolation: "protocol violation"
        case .goingAway: "going away"
        case .replaced: "replaced by a newer session"
        case .portNotAllowed: "port not allowed"
        case .portInUse: "port in use"
        case .bindFailed: "port cannot be bound"
        case .limit: "limit exceeded"
        case .encryption: "not sealed"
        case .altered: "altered on the way"
        default: "code \(rawValue)"
        }
    }
}
