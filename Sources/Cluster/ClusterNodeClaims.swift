import Mux

/// The claims of this server's sessions.
extension ClusterNode {
    /// Requests with changes that may be on their way at a time. 4: one would wait for each round trip to the store.
    static let batches = 4

    /// A session wants a place. No other session of this server has it.
    ///
    /// - Returns: the number of the claim, which actions name.
    package mutating func want(_ claim: Claim, now: Instant) -> (ClaimID, [Action]) {
        let id = ClaimID(number: newNumber())
        guard claims.count < limits.claims else {
            report(.refused(id, .limit(limits.claims)))
            return (id, act(now))
        }
        // An earlier session of this server may not have given it back.
        let over: Revision? =
            switch claims[claim.key]?.state {
            case .held(let epoch, _), .dropped(let epoch, _), .releasing(let epoch, _): epoch
            case .queued(let over): over
            case .sent, .probing, nil: nil
            }
        let deadline = now + limits.claimTimeout
        claims.add(OwnClaims.Entry(id: id, claim: claim, state: .queued(over: over), deadline: deadline))
        return (id, act(now))
    }

    /// A session gives a claim back, or does not want it any more.
    package mutating func drop(_ id: ClaimID, now: Instant) -> [Action] {
        guard let key = claims.key(of: id), let entry = claims[key] else { return act(now) }
        switch entry.state {
        case .held(let epoch, let lease): claims.set(.dropped(epoch: epoch, lease: lease), of: key)
        case .queued(let over?): claims.set(.dropped(epoch: over, lease: nil), of: key)
        case .queued(nil): claims.remove(key)
        case .probing(let probe, _):
            probes[probe] = nil
            claims.remove(key)
        case .sent: claims.markDropped(key)
        case .dropped, .releasing: break
        }
        return act(now)
    }

    // MARK: Requests

    /// Sends changes that wait.
    mutating func sendChanges(now: Instant) {
        while batches < Self.batches {
            var (changes, wire): ([Change], [StoreChange]) = ([], [])
            if recordLease == nil, !isWritingRecord, let lease = leases.free {
                isWritingRecord = true
                leases.change(lease, by: 1)
                changes.append(.record(lease))
                wire.append(.server(record, lease: lease))
            }
            for key in claims.takeWaiting(limit: StoreLimits.changes - changes.count) {
                guard let entry = claims[key] else { continue }
                switch entry.state {
                case .queued(let over):
                    guard let lease = leases.free else {
                        claims.settle(key.place)
                        claims.set(entry.state, of: key)
                        continue
                    }
                    leases.change(lease, by: 1)
                    claims.set(.sent(lease: lease), of: key)
                    changes.append(.claim(key, lease))
                    wire.append(.claim(entry.claim, lease: lease, over: over))
                case .dropped(let epoch, let lease):
                    claims.set(.releasing(epoch: epoch, lease: lease), of: key)
                    changes.append(.release(key))
                    wire.append(.release(key, epoch: epoch))
                case .sent, .probing, .held, .releasing:
                    claims.settle(key.place)
                }
            }
            guard !changes.isEmpty else { return }
            send(.apply(changes), .apply(wire), now: now)
        }
    }

    mutating func receiveAnswers(_ reply: StoreReply, to changes: [Change], now: Instant) {
        var answers: [StoreAnswer?] = Array(repeating: nil, count: changes.count)
        if case .answers(let all) = reply, all.count == changes.count { answers = all }
        for (change, answer) in zip(changes, answers) {
            switch change {
            case .record(let lease): receiveRecord(answer, lease)
            case .claim(let key, let lease): receiveClaim(key, answer, lease, now: now)
            case .release(let key): receiveRelease(key, answer)
            }
        }
        if case .answers(let all) = reply, all.count != changes.count { noteFailure(now: now) }
    }

    private mutating func receiveRecord(_ answer: StoreAnswer?, _ lease: LeaseID) {
        isWritingRecord = false
        switch answer {
        case .granted:
            recordLease = lease
        case .leaseEnded:
            leaseEnded(lease)
        case .held, .released, nil:
            leases.change(lease, by: -1)
        }
    }

    private mutating func receiveRelease(_ key: ClaimKey, _ answer: StoreAnswer?) {
        claims.settle(key.place)
        // A session may have wanted the claim again meanwhile.
        guard case .releasing(let epoch, let lease) = claims[key]?.state else { return }
        guard answer != nil else { return claims.set(.dropped(epoch: epoch, lease: lease), of: key) }
        if let lease { leases.change(lease, by: -1) }
        claims.remove(key)
    }

    private mutating func receiveClaim(_ key: ClaimKey, _ answer: StoreAnswer?, _ lease: LeaseID, now: Instant) {
        claims.settle(key.place)
        guard let entry = claims[key], case .sent(lease) = entry.state else {
            return leases.change(lease, by: -1)
        }
        switch answer {
        case .granted(let epoch):
            receiveGrant(of: entry, epoch, lease)
        case .held(let others):
            leases.change(lease, by: -1)
            receiveHeld(entry, others, now: now)
        case .leaseEnded:
            leaseEnded(lease)
            again(entry, over: nil)
        case .released, nil:
            // Whether it was granted is not known. The next answer names the claim if it was.
            leases.change(lease, by: -1)
            again(entry, over: nil)
        }
    }

    private mutating func receiveGrant(of entry: OwnClaims.Entry, _ epoch: Revision, _ lease: LeaseID) {
        let key = entry.claim.key
        let isFirst = entry.deadline != nil
        guard !entry.isDropped else { return claims.set(.dropped(epoch: epoch, lease: lease), of: key) }
        claims.set(.held(epoch: epoch, lease: lease), of: key)
        if isFirst { report(.granted(entry.id)) }
        // The watch may have been faster than the answer.
        if let known = table[key] { noteOther(known) }
    }

    /// Sends a claim again, unless its session does not want it any more.
    private mutating func again(_ entry: OwnClaims.Entry, over: Revision?) {
        if entry.isDropped {
            claims.remove(entry.claim.key)
        } else {
            claims.set(.queued(over: over), of: entry.claim.key)
        }
    }

    private mutating func receiveHeld(_ entry: OwnClaims.Entry, _ others: [HeldClaim], now: Instant) {
        let key = entry.claim.key
        guard let first = others.first else { return again(entry, over: nil) }
        guard others.count == 1, first.claim.key == key else { return give(up: entry, .held(first), to: first) }
        // Our own claim, whose answer was lost, or that of an earlier session here.
        guard first.claim.home != id else {
            if entry.isDropped { return claims.set(.dropped(epoch: first.epoch, lease: nil), of: key) }
            return again(entry, over: first.epoch)
        }
        // The claim was ours. Another server has taken it over since.
        guard entry.deadline != nil else { return give(up: entry, .heldBySame(first), to: first) }
        guard !entry.isDropped else { return claims.remove(key) }
        guard let home = servers[first.claim.home] else { return again(entry, over: first.epoch) }
        let probe = ProbeID(number: newNumber())
        probes[probe] = (key, now + limits.probeTimeout)
        claims.set(.probing(probe, first), of: key)
        report(.probe(probe, home, session: first.claim.session))
    }

    private mutating func give(up entry: OwnClaims.Entry, _ refusal: ClaimRefusal, to other: HeldClaim) {
        claims.remove(entry.claim.key)
        guard !entry.isDropped else { return }
        report(entry.deadline == nil ? .lost(entry.id, to: other) : .refused(entry.id, refusal))
    }

    // MARK: Take-over

    /// Whether a server has answered for the session of a claim: false also if the server was not reached.
    package mutating func answered(_ probe: ProbeID, isAlive: Bool, now: Instant) -> [Action] {
        settle(probe, isAlive: isAlive)
        return act(now)
    }

    private mutating func settle(_ probe: ProbeID, isAlive: Bool) {
        guard let (key, _) = probes.removeValue(forKey: probe), let entry = claims[key],
            case .probing(probe, let held) = entry.state
        else { return }
        if isAlive { give(up: entry, .heldBySame(held), to: held) } else { again(entry, over: held.epoch) }
    }

    mutating func expireProbes(now: Instant) {
        for (probe, entry) in probes where entry.until <= now { settle(probe, isAlive: false) }
    }

    mutating func expireClaims(now: Instant) {
        for key in claims.takeExpired(now: now) {
            guard let entry = claims[key] else { continue }
            switch entry.state {
            case .queued:
                claims.remove(key)
                if !entry.isDropped { report(.refused(entry.id, .storeUnreachable)) }
            case .sent:
                // The request may still be performed: then the claim is given back.
                if !entry.isDropped { report(.refused(entry.id, .storeUnreachable)) }
                claims.markDropped(key)
            case .probing, .held, .dropped, .releasing:
                break
            }
        }
    }

    /// The store has a claim, whoever has written it.
    mutating func noteOther(_ held: HeldClaim) {
        guard let entry = claims[held.claim.key], case .held(let epoch, let lease) = entry.state, epoch < held.epoch,
            held.claim.home != id
        else { return }
        leases.change(lease, by: -1)
        give(up: entry, .heldBySame(held), to: held)
    }
}
