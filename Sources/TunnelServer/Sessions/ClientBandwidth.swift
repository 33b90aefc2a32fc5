import TunnelCore

/// The bandwidth of a session's client. The sockets of its visitors and of its destinations share it.
final class ClientBandwidth {
    /// Nil for no limit.
    private(set) var limit: RateLimit?

    init(_ rights: ClientRights) {
        update(rights)
    }

    /// Applies other rights. A limit that exists changes for the sockets that share it.
    func update(_ rights: ClientRights) {
        limit = RateLimit.updated(limit, bytesPerSecond: rights.bandwidth)
    }
}
