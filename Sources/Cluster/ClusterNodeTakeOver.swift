import Mux

/// Claims that another server has, or that the store has without a session here.
extension ClusterNode {
    /// A question for the session of a claim.
    struct Probe: Sendable {
        let key: ClaimKey
        let held: HeldClaim
        /// The home that is asked; nil while it is looked for.
        var home: ServerRecord?
    }

    /// Asks the home of a claim for its session.
    mutating func askHome(of held: HeldClaim, for entry: OwnClaims.Entry, now: Instant) {
        let id = ProbeID(number: newNumber())
        probes[id] = Probe(key: entry.claim.key, held: held)
        probeDeadlines.append((now + limits.probeTimeout, id))
        claims.set(.probing(id), of: entry.claim.key)
        if let home = servers[held.claim.home] { ask(home, id) } else { homeless.append(id) }
    }

    private mutating func ask(_ home: ServerRecord, _ id: ProbeID) {
        guard let probe = probes[id] else { return }
        probes[id]?.home = home
        report(.probe(id, home, session: probe.held.claim.session))
    }

    /// Reads the servers if a home is not known: its record may be newer than the last event.
    mutating func readHomes(now: Instant) {
        guard !homeless.isEmpty, !isReadingHomes else { return }
        isReadingHomes = true
        send(.homes(homeless), .read(.servers), now: now)
        homeless = []
    }

    /// A home that the store does not have is gone, and cannot answer.
    mutating func receiveHomes(_ reply: StoreReply, for ids: [ProbeID]) {
        isReadingHomes = false
        let living = ids.filter { probes[$0] != nil }
        guard case .snapshot(let snapshot) = reply else { return homeless += living }
        let records = Dictionary(snapshot.servers.map { ($0.id, $0) }) { $1 }
        for id in living {
            guard let home = probes[id]?.held.claim.home else { continue }
            if let record = records[home] { ask(record, id) } else { settle(id, isAlive: false) }
        }
    }

    /// Whether a server has answered for the session of a claim: false also if the server was not reached.
    package mutating func answered(_ probe: ProbeID, isAlive: Bool, now: Instant) -> [Action] {
        settle(probe, isAlive: isAlive)
        return act(now)
    }

    private mutating func settle(_ id: ProbeID, isAlive: Bool) {
        guard let probe = probes.removeValue(forKey: id), let entry = claims[probe.key], case .probing(id) = entry.state
        else { return }
        // A server that drains takes nothing over: its sessions leave, and it could not tell a home that was cut off.
        guard !isAlive, !record.isDraining else { return giveUp(entry, .heldBySame(probe.held), to: probe.held) }
        claims.markTaken(probe.key, from: probe.home)
        again(entry, over: probe.held.epoch)
    }

    mutating func expireProbes(now: Instant) {
        while let first = probeDeadlines.first, first.at <= now {
            _ = probeDeadlines.popFirst()
            guard let probe = probes[first.id] else { continue }
            if probe.home != nil {
                settle(first.id, isAlive: false)
            } else if let entry = claims[probe.key], case .probing(first.id) = entry.state {
                // The store has not told where the home is: it is asked again for the claim.
                probes[first.id] = nil
                again(entry, over: nil)
            }
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
