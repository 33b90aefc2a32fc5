import ByteText
import Mux
import TunnelCore

/// The part of one session among those that a client keeps at several servers.
///
/// All of them ask for the tunnels that a group can share, as members of a group of the client's own. One of them has the
/// other tunnels too, as ``SessionSpread`` decides.
struct SessionPart: Sendable {
    /// 0 for the first session.
    let number: Int
    let spread: SessionSpread
    /// The client's own group.
    let group: RequestedGroup

    /// Whether this session asks for a tunnel.
    func includes(_ tunnel: TunnelSpec) -> Bool { tunnel.isShareable || spread.keepsUnshared(number) }

    /// The group in which this session asks for a tunnel; nil for none.
    func group(of tunnel: TunnelSpec) -> RequestedGroup? { tunnel.group ?? (tunnel.isShareable ? group : nil) }

    /// Takes a server for a session that is about to begin.
    ///
    /// - Returns: false if another session of the client has the server.
    func takes(_ session: [UInt8], at endpoint: EndpointURL) -> Bool {
        spread.takes(session, at: endpoint, for: number)
    }

    /// Records that a tunnel is public in this session.
    ///
    /// - Returns: whether it was public in none before.
    func published(_ tunnel: Int) -> Bool { spread.published(tunnel, by: number) }

    /// Records that a tunnel is not public in this session any more.
    func withdrew(_ tunnel: Int) { spread.withdrew(tunnel, by: number) }

    /// Records that this session has no public tunnel any more.
    func withdrewAll() { spread.withdrewAll(by: number) }

    /// The sockets of all sessions that lead to services. On the event loop.
    var sockets: LoopDetector.Sockets { spread.sockets.value }
}

extension SessionPart {
    /// The group that all sessions of a client ask for. It stays the same after a restart with the same token, and so
    /// does its proof.
    static func ownGroup(_ credentials: Credentials, instance: [UInt8]) -> RequestedGroup {
        let name = credentials.secret(for: "culvert servers name 1", instance).prefix(8)
        return RequestedGroup(
            name: "servers-" + Base16.encoded(name),
            proof: credentials.secret(for: "culvert servers proof 1", instance)
        )
    }
}
