import Mux

/// Claims that another server has, or that the store has without a session here.
extension ClusterNode {
    /// Asks the home of a claim for its session. A home that is gone cannot answer: the claim is taken over.
    mutating func askHome(of held: HeldClaim, for entry: OwnClaims.Entry, now: Instant) {
        guard let home = servers[held.claim.home] else { return again(entry, over: held.epoch) }
        let probe = ProbeID(number: newNumber())
        probes[probe] = (entry.claim.key, held)
        probeDeadlines.append((now + limits.probeTimeout, probe))
        claims.set(.probing(probe), of: entry.claim.key)
        report(.probe(probe, home, session: held.claim.session))
    }

    /// Whether a server has answered for the session of a claim: false also if the server was not reached.
    package mutating func answered(_ probe: ProbeID, isAlive: Bool, now: Instant) -> [Action] {
        settle(probe, isAlive: isAlive)
        return act(now)
    }

    private mutating func settle(_ probe: ProbeID, isAlive: Bool) {
        guard let (key, held) = probes.removeValue(forKey: probe), let entry = claims[key],
            case .probing(probe) = entry.state
        else { return }
        guard !isAlive else { return giveUp(entry, .heldBySame(held), to: held) }
        claims.markTaken(key, from: held.claim.home)
        again(entry, over: held.epoch)
    }

    mutating func expireProbes(now: Instant) {
        while let first = probeDeadlines.first, first.at <= now {
            _ = probeDeadlines.popFirst()
            settle(first.id, isAlive: false)
        }
    }

    // MARK: What the store has

    /// The store has a claim, whichever server has written it.
    mutating func note(_ held: HeldClaim) {
        let key = held.claim.key
        guard held.claim.home != id else { return noteOwn(held) }
        guard let entry = claims[key], case .held(let epoch, let lease) = entry.state, epoch < held.epoch else {
            return
        }
        leases.change(lease, by: -1)
        giveUp(entry, .heldBySame(held), to: held)
    }

    /// The store has a claim of this server. One that no session wants, from a request that was performed late, is given
    /// back.
    private mutating func noteOwn(_ held: HeldClaim) {
        guard claims[held.claim.key] == nil, claims.count < limits.claims else { return }
        let id = ClaimID(number: newNumber())
        claims.add(
            OwnClaims.Entry(
                id: id,
                claim: held.claim,
                state: .dropped(epoch: held.epoch, lease: nil),
                deadline: nil,
                isDropped: true
            )
        )
    }

    /// The store did not have a claim at a revision. One that was granted before is put back.
    mutating func noteMissing(_ key: ClaimKey, at revision: Revision) {
        guard let entry = claims[key], case .held(let epoch, let lease) = entry.state, epoch < revision else { return }
        leases.change(lease, by: -1)
        claims.set(.queued(over: nil), of: key)
    }
}
