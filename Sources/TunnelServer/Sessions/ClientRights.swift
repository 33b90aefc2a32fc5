import HTTPRelay
import Mux
import NetworkAddress
import TunnelCore

/// The rights of one client. A client without an entry has none.
public struct ClientRights: Sendable, Hashable {
    /// The operator's name for the client, for logs and refusals.
    public var name: String
    /// The verifier of its token.
    public var verifier: Verifier
    /// Verifiers of further tokens of the client: while a token is replaced, the old one and the new one are accepted.
    public var furtherVerifiers: [Verifier] = []
    /// The public ports that it may request, out of the server's; nil for all of them.
    public var allowedPorts: PortRanges?
    /// The addresses on which it may have ports, out of the server's; nil for all of them.
    public var allowedAddresses: [String]?
    /// Whether it may have ports on the server's loopback, which programs on that machine trust.
    ///
    /// A server whose public address is loopback allows them to every client.
    public var allowsLoopback = false
    /// The folder for its Unix sockets, in place of the server's; nil for the server's.
    public var unixDirectory: String?
    /// The host names that it may have; none by default.
    public var names: [NamePattern] = []
    /// The destinations that it may connect to from the server; none by default.
    public var destinations: [DestinationRule] = []
    /// Tunnels that it may have at a time in one session; nil for the session's own limit.
    public var maximumTunnels: Int?
    /// Visitors that it may have at a time in one session; nil for the session's own limit.
    public var maximumStreams: Int?
    /// Bytes a second in each direction, over all visitors of a session; nil for no limit.
    public var bandwidth: Int?
    /// The limits of its visitors, in place of the server's; nil for the server's.
    public var visitors: VisitorLimits?
    /// The time at which its access expires, in seconds since 1970; nil for never.
    public var expires: Int64?
    /// Whether it may connect. False keeps the entry and refuses the client.
    public var isEnabled = true

    /// Creates an entry with every right that the server can give.
    public init(name: String, verifier: Verifier, allowedPorts: PortRanges? = nil) {
        self.name = name
        self.verifier = verifier
        self.allowedPorts = allowedPorts
    }

    /// All verifiers that admit the client.
    public var verifiers: [Verifier] { [verifier] + furtherVerifiers }

    /// The refusal of an authenticated client, in words for its user; nil if it has access.
    func refusal(now: Int64) -> Refusal? {
        if !isEnabled { return Refusal(.credentials, "this client is disabled; ask the server's operator") }
        if let expires, expires <= now {
            return Refusal(.credentials, "this client's access has expired; ask the server's operator")
        }
        return nil
    }
}

extension ClientRights {
    /// The session's limits, as this client's rights narrow them.
    func limits(within limits: MuxLimits) -> MuxLimits {
        var limits = limits
        if let maximumStreams { limits.streams = min(limits.streams, maximumStreams) }
        return limits
    }

    /// The ports and addresses of the server that the client may have.
    func policy(_ configuration: ServerConfiguration) -> BindPolicy {
        BindPolicy(
            publicAddresses: configuration.publicAddresses,
            serverPorts: configuration.allowedPorts,
            clientPorts: allowedPorts,
            clientAddresses: allowedAddresses,
            allowsLoopback: allowsLoopback || configuration.isOpen || configuration.isPublicAddressLoopback,
            unixDirectory: unixDirectory ?? configuration.unixDirectory
        )
    }
}
