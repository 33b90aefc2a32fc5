import TunnelAdmin
import TunnelCore

/// The bounds of a client beside those of its sessions: each with its default and its reason. Zero never means "without".
public struct ClientLimits: Sendable, Equatable {
    /// How long each hop of a dial may take: name and connect, proxy, TLS, upgrade, session. 10 s: proxies that scan or
    /// ask a directory take some of them.
    public var hopTimeout: Duration = .seconds(10)
    /// How long a service may take to accept. 10 s, below the 15 s after which the server gives the visitor up.
    public var serviceTimeout: Duration = .seconds(10)
    /// The operator's own door.
    public var admin = AdminLimits()
    /// What the server's WebSocket is held to.
    public var carrier = CarrierLimits()
    /// What the session may hold, bytes. 1 GiB: more than its own bounds allow.
    public var memory = standardMemory
    /// Log lines of streams that have ended, in ten seconds; what is left out is counted. 1,000, as at a server.
    public var visitorLogLines = 1_000

    /// The defaults.
    public init() {}
}
