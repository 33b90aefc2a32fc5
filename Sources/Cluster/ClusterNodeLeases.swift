import Mux

/// The leases under which the store keeps a server's entries.
extension ClusterNode {
    /// Asks for a lease if an entry needs one, gives signs of life, and gives back a lease that is not needed any more.
    mutating func askForLeases(now: Instant) {
        let needsOne = recordLease == nil || claims.hasWaiting
        if needsOne, leases.free == nil, !leases.isGranting {
            leases.isGranting = true
            send(.grantLease, .grantLease(seconds: limits.leaseSeconds), now: now)
        }
        for lease in leases.takeDue(now: now) { send(.keepAlive(lease), .keepAlive(lease), now: now) }
        while !claims.hasWaiting, let lease = leases.takeSpare() { send(.revoke, .revoke(lease), now: now) }
    }

    mutating func receiveLease(_ reply: StoreReply, _ sentAt: Instant, now: Instant) {
        leases.isGranting = false
        guard case .lease(let id) = reply else { return }
        // A lease that is there already is no other one.
        guard !leases.contains(id) else { return noteFailure(sentAt: now, now: now) }
        // The lease may have begun when the request was sent.
        leases.add(id, keepAliveAt: sentAt + limits.keepAliveInterval)
    }

    mutating func receiveSign(of lease: LeaseID, _ reply: StoreReply, _ sentAt: Instant, now: Instant) {
        switch reply {
        case .isAlive(true): leases.answered(lease, keepAliveAt: sentAt + limits.keepAliveInterval)
        case .isAlive(false): leaseEnded(lease)
        default: leases.answered(lease, keepAliveAt: now)
        }
    }

    /// A lease has ended, and the store has removed its entries: they are put back.
    mutating func leaseEnded(_ lease: LeaseID) {
        guard leases.contains(lease) else { return }
        leases.remove(lease)
        if recordLease == lease { recordLease = nil }
        let held = claims.inOrder { entry in
            if case .held(_, lease) = entry.state { true } else { false }
        }
        // The epochs do not count any more. If the store has a claim, it names its present epoch.
        for entry in held { claims.set(.queued(over: nil), of: entry.claim.key) }
    }

    // MARK: The server's record

    /// The record has to be written: it has changed, or the store does not have it.
    mutating func renewRecord() {
        guard let lease = recordLease else { return }
        leases.change(lease, by: -1)
        recordLease = nil
    }

    mutating func receiveRecord(_ answer: StoreAnswer?, _ lease: LeaseID, _ written: ServerRecord) {
        isWritingRecord = false
        switch answer {
        case .granted(let epoch) where leases.contains(lease):
            (recordLease, recordEpoch) = (lease, epoch)
            if written != record { renewRecord() }
        case .leaseEnded:
            leaseEnded(lease)
        case .granted, .held, .released, nil:
            leases.change(lease, by: -1)
        }
    }

    /// The store reports a record of this server, or that there is none.
    mutating func noteOwnRecord(_ stored: ServerRecord?, at revision: Revision) {
        guard recordLease != nil, recordEpoch < revision else { return }
        // An earlier request may have been performed late.
        if let stored, stored.peerURL != record.peerURL || stored.since != record.since || stored == record { return }
        renewRecord()
    }
}
