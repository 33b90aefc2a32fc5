/// What the operator's own door bears.
public struct AdminLimits: Sendable, Equatable {
    /// Connections at a time; one more is closed at once. 64: scrapers and probes are few.
    public var connections: Int
    /// Connections at a time from one address of TCP, an IPv6 subscriber's /64 being one: a quarter of all, so that one
    /// address does not keep the operator out.
    public var connectionsPerAddress: Int { max(1, connections / 4) }
    /// The time for a head, and again that for its answer. 10 s: who asks is near.
    public var timeout: Duration

    /// The defaults, unless given.
    public init(connections: Int = 64, timeout: Duration = .seconds(10)) {
        self.connections = connections
        self.timeout = timeout
    }
}
