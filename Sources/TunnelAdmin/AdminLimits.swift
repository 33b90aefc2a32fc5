/// The limits of the admin server.
public struct AdminLimits: Sendable, Equatable {
    /// Connections at a time; further ones are closed at once. 64: scrapers and probes are few.
    public var connections: Int
    /// Connections at a time from one address, or from one /64 of IPv6. A quarter of all, so that one address does not keep
    /// the operator out.
    public var connectionsPerAddress: Int { max(1, connections / 4) }
    /// Time for a request's head, and then the same time for its answer. 10 s: the operator is near.
    public var timeout: Duration

    /// Creates limits; by default the defaults.
    public init(connections: Int = 64, timeout: Duration = .seconds(10)) {
        self.connections = connections
        self.timeout = timeout
    }
}
