/// What a stream carries (protocol page, section 2). An unknown kind ends the session; new kinds need a new protocol
/// version.
public enum StreamKind: UInt8, Sendable, Hashable {
    /// One TCP connection, or one connection to a Unix socket.
    case tcp = 1
    /// The datagrams of one UDP flow.
    case udp = 2
    /// A measurement at the server itself, which only a client opens (protocol page, section 10).
    case probe = 3

    /// The word for the log: `tcp`, `udp` or `probe`.
    public var name: String {
        switch self {
        case .tcp: "tcp"
        case .udp: "udp"
        case .probe: "probe"
        }
    }

    /// Whether the stream carries datagrams rather than bytes.
    public var isFlow: Bool { self == .udp }
}
