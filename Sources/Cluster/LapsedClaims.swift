import Mux

/// Claims of ports that the store has lost although their server lives.
///
/// The link to the server lives, but the server does not reach the store, so its leases have ended.
///
/// The store reports the end of a claim and the end of its server's record one after the other, in any order. So claims that
/// have just gone are remembered until the record tells what has happened.
struct LapsedClaims: Sendable {
    /// Claims that have gone while the record of their server was there, the oldest first.
    private var gone = Queue<(at: Instant, held: HeldClaim)>()
    /// Claims that stay in use, with their server.
    private var homes: [ClaimKey: ServerID] = [:]
    private var kept: [ServerID: Set<ClaimKey>] = [:]
    /// Servers that are back in the store, with the time until which they may put their claims back.
    private var returning: [ServerID: Instant] = [:]

    /// Servers with a link that have left the store in order.
    private var leaving: Set<ServerID> = []

    /// The time of the next expiry.
    var deadline: Instant? { returning.values.min() }

    /// A claim has gone, and the record of its server is there.
    mutating func note(_ held: HeldClaim, now: Instant, limits: ClusterLimits) {
        expire(now: now, limits: limits)
        if gone.count < limits.portClaims { gone.append((now, held)) }
    }

    /// Forgets what has gone too long ago.
    mutating func expire(now: Instant, limits: ClusterLimits) {
        while let first = gone.first, now.since(first.at) > .seconds(limits.leaseSeconds) { _ = gone.popFirst() }
    }

    /// The record of a server has gone.
    ///
    /// - Returns: its claims that have gone just before.
    mutating func takeGone(of server: ServerID, now: Instant, limits: ClusterLimits) -> [HeldClaim] {
        expire(now: now, limits: limits)
        var taken: [HeldClaim] = []
        for _ in 0..<gone.count {
            guard let entry = gone.popFirst() else { break }
            if entry.held.claim.home == server { taken.append(entry.held) } else { gone.append(entry) }
        }
        return taken
    }

    /// A claim stays in use.
    mutating func keep(_ key: ClaimKey, of server: ServerID) {
        homes[key] = server
        kept[server, default: []].insert(key)
    }

    /// Whether a claim stays in use only because its server lives.
    func isKept(_ key: ClaimKey) -> Bool { homes[key] != nil }

    /// A claim is in the store again, or out of use.
    mutating func forget(_ key: ClaimKey) {
        guard let server = homes.removeValue(forKey: key) else { return }
        kept[server]?.remove(key)
        if kept[server]?.isEmpty == true { (kept[server], returning[server]) = (nil, nil) }
    }

    /// The server is back in the store, and has some time for its claims.
    mutating func returned(_ server: ServerID, until: Instant) {
        if kept[server] != nil { returning[server] = until }
    }

    /// The server is gone from the store, perhaps again.
    ///
    /// - Parameter inOrder: whether it had announced its end: its claims are given up then.
    mutating func left(_ server: ServerID, inOrder: Bool) {
        returning[server] = nil
        if inOrder { leaving.insert(server) } else { leaving.remove(server) }
    }

    /// Whether a server that is gone had announced its end.
    func hasGivenUp(_ server: ServerID) -> Bool { leaving.contains(server) }

    /// The link to a server has ended, or its time is over.
    ///
    /// - Returns: its claims, which are out of use.
    mutating func takeKept(of server: ServerID) -> [ClaimKey] {
        returning[server] = nil
        leaving.remove(server)
        let keys = kept.removeValue(forKey: server) ?? []
        for key in keys { homes[key] = nil }
        return Array(keys)
    }

    /// - Returns: the claims that were not put back in time, which are out of use.
    mutating func takeExpired(now: Instant) -> [ClaimKey] {
        returning.filter { $0.value <= now }.keys.flatMap { takeKept(of: $0) }
    }
}
