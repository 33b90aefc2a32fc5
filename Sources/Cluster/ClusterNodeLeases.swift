import Mux

/// The leases under which the store keeps a server's entries.
extension ClusterNode {
    private var lifetime: Duration { .seconds(limits.leaseSeconds) }

    /// Asks for a lease if an entry needs one, and gives signs of life.
    mutating func askForLeases(now: Instant) {
        let needsOne = recordLease == nil || claims.hasWaiting
        if needsOne, leases.free == nil, !leases.isGranting {
            leases.isGranting = true
            send(.grantLease, .grantLease(seconds: limits.leaseSeconds), now: now)
        }
        for lease in leases.takeDue(now: now) { send(.keepAlive(lease), .keepAlive(lease), now: now) }
    }

    mutating func receiveLease(_ reply: StoreReply, _ sentAt: Instant, now: Instant) {
        leases.isGranting = false
        guard case .lease(let id) = reply else { return }
        // The lease may have begun when the request was sent.
        leases.add(id, keepAliveAt: sentAt + limits.keepAliveInterval, endsAt: sentAt + lifetime)
    }

    mutating func receiveSign(of lease: LeaseID, _ reply: StoreReply, _ sentAt: Instant, now: Instant) {
        switch reply {
        case .isAlive(true):
            leases.answered(lease, keepAliveAt: sentAt + limits.keepAliveInterval, endsAt: sentAt + lifetime)
        case .isAlive(false):
            leaseEnded(lease)
        default:
            leases.answered(lease, keepAliveAt: now)
        }
    }

    /// A lease has ended, and the store has removed its entries: they are put back.
    mutating func leaseEnded(_ lease: LeaseID) {
        guard leases.contains(lease) else { return }
        leases.remove(lease)
        if recordLease == lease { recordLease = nil }
        for (key, entry) in claims.byKey {
            // The epoch does not count any more. If the store has the claim, it names its present epoch.
            if case .held(_, lease) = entry.state { claims.set(.queued(over: nil), of: key) }
        }
    }
}
