/// What a stream carries (protocol page, section 2). An unknown kind ends the session; new kinds need a new protocol
/// version.
public enum StreamKind: UInt8, Sendable, Hashable {
    /// One TCP connection, or one connection to a Unix socket.
    case tcp = 1
    /// The datagrams of one UDP flow.
    case udp = 2
}
