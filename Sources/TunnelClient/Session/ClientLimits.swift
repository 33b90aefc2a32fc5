import TunnelAdmin
import TunnelCore

/// The limits of a client besides those of its sessions. Zero never means "without a limit".
public struct ClientLimits: Sendable, Equatable {
    /// The timeout of each hop of a dial: name and connect, proxy, TLS, upgrade, session. Proxies that scan or ask a
    /// directory take some seconds.
    public var hopTimeout: Duration = .seconds(10)
    /// The time that a service may take to accept. It is shorter than the time after which the server resets the visitor.
    public var serviceTimeout: Duration = .seconds(10)
    /// The limits of the admin server.
    public var admin = AdminLimits()
    /// The limits of the WebSocket with the server.
    public var carrier = CarrierLimits()
    /// Bytes that the session may hold: more than its own limits allow.
    public var memory = standardMemory
    /// Log lines of ended streams in ten seconds. Further ones are counted.
    public var visitorLogLines = 1_000

    /// The defaults.
    public init() {}
}
