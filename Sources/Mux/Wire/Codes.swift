/// Why a stream was reset (protocol page, section 8). Unknown numbers are kept as they are: they reset all the same.
public struct ResetCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    /// Creates a code from the wire's number.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The socket at the sender's end was reset.
    public static let connectionReset = ResetCode(rawValue: 1)
    /// The service refused the connection.
    public static let refused = ResetCode(rawValue: 2)
    /// The service's name or address cannot be reached.
    public static let unreachable = ResetCode(rawValue: 3)
    /// The service did not answer in time.
    public static let timeout = ResetCode(rawValue: 4)
    /// The sender has no room for the stream.
    public static let busy = ResetCode(rawValue: 5)
    /// The peer broke the rules of this stream.
    public static let protocolViolation = ResetCode(rawValue: 6)
    /// The sender is stopping.
    public static let goingAway = ResetCode(rawValue: 7)
    /// The tunnel that the stream names does not exist here.
    public static let noSuchTunnel = ResetCode(rawValue: 8)

    /// The code's name, or its number.
    public var description: String {
        switch self {
        case .connectionReset: "connection reset"
        case .refused: "service refused the connection"
        case .unreachable: "service cannot be reached"
        case .timeout: "service did not answer in time"
        case .busy: "no room for the stream"
        case .protocolViolation: "protocol violation on the stream"
        case .goingAway: "going away"
        case .noSuchTunnel: "no such tunnel"
        default: "code \(rawValue)"
        }
    }
}

/// Why a session, a carrier's opening or a port was refused or ended (protocol page, section 8).
public struct RefusalCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    /// Creates a code from the wire's number.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Unknown client or wrong proof; the two cannot be told apart.
    public static let credentials = RefusalCode(rawValue: 1)
    /// No common version of the protocol.
    public static let version = RefusalCode(rawValue: 2)
    /// The server has no room at the moment.
    public static let busy = RefusalCode(rawValue: 3)
    /// The session to be resumed is not known here.
    public static let unknownSession = RefusalCode(rawValue: 4)
    /// The peer broke the protocol.
    public static let protocolViolation = RefusalCode(rawValue: 5)
    /// The peer restarts or stops.
    public static let goingAway = RefusalCode(rawValue: 6)
    /// A newer carrier or session has taken over.
    public static let replaced = RefusalCode(rawValue: 7)
    /// The port lies outside the client's rights.
    public static let portNotAllowed = RefusalCode(rawValue: 8)
    /// The port is taken by somebody else.
    public static let portInUse = RefusalCode(rawValue: 9)
    /// The port cannot be bound for another reason.
    public static let bindFailed = RefusalCode(rawValue: 10)
    /// The peer has exceeded a limit.
    public static let limit = RefusalCode(rawValue: 11)

    /// The code's name, or its number.
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
        default: "code \(rawValue)"
        }
    }
}
