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
    /// Connections of forwards that wait for the server to take a stream. 256: each costs a socket. Later ones wait in the
    /// listen queue.
    public var waitingConnections = 256
    /// Time that a connection of a forward waits for a session, or for the server to take its stream. 15 s, as at the
    /// server: a proxy restarts in less, and a program gives up.
    public var waitingTime: Duration = .seconds(15)
    /// Connections in the listen queue of each local port. 1,024: a burst while there is no session.
    public var localListenQueue = 1_024
    /// Connections in a second that one local port accepts; others wait in the listen queue. 1,000.
    public var localConnectionsPerSecond = 1_000
    /// Descriptors that are reserved for the carrier, services and the operator. 64.
    public var reservedDescriptors = 64
    /// The limits of UDP flows.
    public var flows = FlowLimits()
    /// Log lines of ended streams in ten seconds. Further ones are counted.
    public var visitorLogLines = 1_000

    /// The defaults.
    public init() {}

    /// The limits of each local port of a forward.
    var ingress: IngressLimits {
        IngressLimits(
            listenQueue: localListenQueue,
            connectionsPerSecond: localConnectionsPerSecond,
            reservedDescriptors: reservedDescriptors
        )
    }
}
