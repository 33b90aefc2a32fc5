/// The role of one end of a session.
public enum Role: Sendable, Hashable {
    /// Dials, owns the services and asks for public ports.
    case client
    /// Listens, owns the public ports and opens a stream for each visitor.
    case server

    /// The other end's role.
    public var peer: Role { self == .client ? .server : .client }

    /// The first stream number that this role opens.
    var firstStream: StreamID { StreamID(self == .client ? 1 : 2) }
}
