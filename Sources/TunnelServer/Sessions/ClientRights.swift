import Mux
import NetworkAddress

/// One client that may connect to a server, and its rights. Without an entry there are none.
public struct ClientRights: Sendable {
    /// The operator's name for it, for logs and refusals.
    public var name: String
    /// What recognises its token.
    public var verifier: Verifier
    /// The public ports that it may ask for, within the server's own; nil for all of these.
    public var allowedPorts: PortRanges?
    /// The addresses on which it may have them, within the server's own; nil for all of these.
    public var allowedAddresses: [String]?
    /// Whether it may have ports on the server's loopback, where programs of that machine trust each other. A server whose
    /// public address is loopback gives those to all.
    public var allowsLoopback = false
    /// Tunnels that it may have at a time, over all its sessions' own bound; nil for that bound.
    public var maximumTunnels: Int?
    /// Visitors that it may have at a time in one session; nil for the session's bound.
    public var maximumStreams: Int?
    /// Bytes a second in each direction, over all visitors of a session; nil for no bound.
    public var bandwidth: Int?
    /// What the visitors to its tunnels are held to, in place of the server's limits; nil for these.
    public var visitors: VisitorLimits?
    /// Seconds since 1970 after which it may not connect any more; nil for never.
    public var expires: Int64?
    /// False to shut it out without forgetting it.
    public var isEnabled = true

    /// An entry with every right that the server has to give.
    public init(name: String, verifier: Verifier, allowedPorts: PortRanges? = nil) {
        self.name = name
        self.verifier = verifier
        self.allowedPorts = allowedPorts
    }

    /// Why the client may not be here, in words for its user, who has proved to be it; nil where it may.
    func refusal(now: Int64) -> Refusal? {
        if !isEnabled { return Refusal(.credentials, "this client is disabled; ask who runs the server") }
        if let expires, expires <= now {
            return Refusal(.credentials, "this client's access has expired; ask who runs the server")
        }
        return nil
    }
}

extension ClientRights {
    /// The session's bounds as this client's rights narrow them.
    func limits(within limits: MuxLimits) -> MuxLimits {
        var limits = limits
        if let maximumStreams { limits.streams = min(limits.streams, maximumStreams) }
        return limits
    }

    /// What of the server's ports and addresses the client may have.
    func policy(_ configuration: ServerConfiguration) -> BindPolicy {
        BindPolicy(
            publicAddresses: configuration.publicAddresses,
            serverPorts: configuration.allowedPorts,
            clientPorts: allowedPorts,
            clientAddresses: allowedAddresses,
            allowsLoopback: allowsLoopback || configuration.isOpen || configuration.isPublicAddressLoopback
        )
    }
}

extension MuxLimits {
    /// No more streams than the client says that it takes: it would refuse the others, and too many of them end a session.
    /// At least one: a client without streams has no tunnels either.
    func narrowed(by client: Authentication) -> MuxLimits {
        var limits = self
        if let streams = client.streams { limits.streams = max(1, min(limits.streams, Int(streams))) }
        if let opening = client.opening { limits.opening = max(1, min(limits.opening, Int(opening))) }
        return limits
    }
}
