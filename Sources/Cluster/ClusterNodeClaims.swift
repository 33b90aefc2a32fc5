import Mux

/// The claims of this server's sessions.
extension ClusterNode {
    /// Requests with changes that may be on their way at a time. 4: one would wait for each round trip to the store.
    package static let batches = 4

    /// A session wants a place. No other session of this server has it.
    ///
    /// - Returns: the number of the claim, which actions name.
    package mutating func want(_ claim: Claim, now: Instant) -> (ClaimID, [Action]) {
        let id = ClaimID(number: newNumber())
        let earlier = claims[claim.key]
        guard !isStopped, earlier != nil || claims.count < limits.claims else {
            report(.refused(id, isStopped ? .storeUnreachable : .limit(limits.claims)))
            return (id, act(now))
        }
        let deadline = now + limits.claimTimeout
        var entry = OwnClaims.Entry(id: id, claim: claim, state: .queued(over: nil), deadline: deadline)
        // An earlier session of this server may not have given it back.
        if let earlier {
            (entry.mayBeStored, entry.failedAt) = (earlier.mayBeStored, earlier.failedAt)
            entry.takenFrom = earlier.takenFrom
            switch earlier.state {
            case .held(let epoch, let lease):
                leases.change(lease, by: -1)
                (entry.state, entry.mayBeStored) = (.queued(over: epoch), true)
            case .dropped(let epoch, let lease), .releasing(let epoch, let lease):
                if let lease { leases.change(lease, by: -1) }
                (entry.state, entry.mayBeStored) = (.queued(over: epoch), true)
            case .queued(let over): entry.state = .queued(over: over)
            case .sent: entry.mayBeStored = true
            case .probing(let probe): probes[probe] = nil
            }
        }
        claims.add(entry)
        return (id, act(now))
    }

    /// A session gives a claim back, or does not want it any more.
    package mutating func drop(_ id: ClaimID, now: Instant) -> [Action] {
        if let key = claims.key(of: id) { giveBack(key) }
        return act(now)
    }

    /// Gives all claims back that were granted: their ports are closed, and their sessions end with the last streams.
    package mutating func giveBackAll(now: Instant) -> [Action] {
        for entry in claims.inOrder(where: { $0.deadline == nil && !$0.isDropped }) { giveBack(entry.claim.key) }
        return act(now)
    }

    private mutating func giveBack(_ key: ClaimKey) {
        guard let entry = claims[key] else { return }
        claims.markDropped(key)
        switch entry.state {
        case .held(let epoch, let lease): claims.set(.dropped(epoch: epoch, lease: lease), of: key)
        case .queued(let over?) where entry.mayBeStored: claims.set(.dropped(epoch: over, lease: nil), of: key)
        case .queued where entry.mayBeStored: break
        case .queued: forget(entry)
        case .probing(let probe):
            probes[probe] = nil
            forget(entry)
        case .sent, .dropped, .releasing: break
        }
    }

    /// Removes a claim that the store does not have, as far as is known.
    private mutating func forget(_ entry: OwnClaims.Entry) {
        claims.remove(entry.claim.key)
        if let failedAt = entry.failedAt { audit(entry.claim.key.place, failedAt: failedAt) }
    }

    // MARK: Requests

    /// Sends changes that wait.
    mutating func sendChanges(now: Instant) {
        while batches < Self.batches {
            var (changes, wire): ([Change], [StoreChange]) = ([], [])
            if recordLease == nil, !isWritingRecord, let lease = leases.free {
                isWritingRecord = true
                leases.change(lease, by: 1)
                changes.append(.record(lease, record))
                wire.append(.server(record, lease: lease))
            }
            let keys = knowsServers ? claims.takeWaiting(limit: StoreLimits.changes - changes.count) : []
            for key in keys {
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
        if case .answers(let all) = reply { answers = all }
        for (change, answer) in zip(changes, answers) {
            switch change {
            case .record(let lease, let written): receiveRecord(answer, lease, written)
            case .claim(let key, let lease): receiveClaim(key, answer, lease, now: now)
            case .release(let key): receiveRelease(key, answer)
            }
        }
    }

    private mutating func receiveRelease(_ key: ClaimKey, _ answer: StoreAnswer?) {
        claims.settle(key.place)
        // A session may have wanted the claim again meanwhile.
        guard let entry = claims[key], case .releasing(let epoch, let lease) = entry.state else { return }
        guard answer != nil else { return claims.set(.dropped(epoch: epoch, lease: lease), of: key) }
        if let lease { leases.change(lease, by: -1) }
        forget(entry)
    }

    private mutating func receiveClaim(_ key: ClaimKey, _ answer: StoreAnswer?, _ lease: LeaseID, now: Instant) {
        claims.settle(key.place)
        guard let entry = claims[key] else { return leases.change(lease, by: -1) }
        guard case .sent(lease) = entry.state else { return receiveEarlier(entry, answer, lease, now: now) }
        switch answer {
        case .granted(let epoch):
            noteTaken(entry, now: now)
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
            claims.markStored(key, true, failedAt: now)
            again(entry, over: nil)
        }
    }

    /// An answer to the claim of an earlier session: a later one wants it, and waits for its own turn.
    private mutating func receiveEarlier(
        _ entry: OwnClaims.Entry,
        _ answer: StoreAnswer?,
        _ lease: LeaseID,
        now: Instant
    ) {
        let key = entry.claim.key
        leases.change(lease, by: -1)
        switch answer {
        case .granted(let epoch):
            noteTaken(entry, now: now)
            guard case .queued = entry.state else { return }
            claims.set(entry.isDropped ? .dropped(epoch: epoch, lease: nil) : .queued(over: epoch), of: key)
        case .leaseEnded: leaseEnded(lease)
        case .held(let others):
            guard case .queued(nil) = entry.state, !others.contains(where: { $0.claim.home == id }) else { return }
            claims.markStored(key, false)
            if entry.isDropped { forget(entry) }
        case .released, nil: claims.markStored(key, true, failedAt: now)
        }
    }

    private mutating func receiveGrant(of entry: OwnClaims.Entry, _ epoch: Revision, _ lease: LeaseID) {
        let key = entry.claim.key
        guard !entry.isDropped else { return claims.set(.dropped(epoch: epoch, lease: lease), of: key) }
        claims.set(.held(epoch: epoch, lease: lease), of: key)
        if entry.deadline != nil { report(.granted(entry.id)) }
        // The lease may have ended since, or the watch may have been faster than the answer.
        if !leases.contains(lease) { return claims.set(.queued(over: nil), of: key) }
        if let known = table[key] { note(known) }
    }

    /// Sends a claim again, unless its session does not want it any more and the store does not have it.
    mutating func again(_ entry: OwnClaims.Entry, over: Revision?) {
        let key = entry.claim.key
        if entry.isDropped, claims[key]?.mayBeStored == false { return forget(entry) }
        claims.set(.queued(over: over), of: key)
    }

    private mutating func receiveHeld(_ entry: OwnClaims.Entry, _ others: [HeldClaim], now: Instant) {
        let key = entry.claim.key
        let first = others.first
        let isOwn = others.count == 1 && first?.claim.key == key && first?.claim.home == id
        claims.markStored(key, isOwn)
        guard let first else { return again(entry, over: nil) }
        // Our own claim, whose answer was lost, or that of an earlier session here.
        if isOwn {
            noteTaken(entry, now: now)
            if entry.isDropped { return claims.set(.dropped(epoch: first.epoch, lease: nil), of: key) }
            return again(entry, over: first.epoch)
        }
        guard others.count == 1, first.claim.key == key else {
            // Other sessions of this server had the place, and their claims are on their way out.
            if others.allSatisfy({ isLeaving($0) }) { return again(entry, over: nil) }
            return giveUp(entry, .held(first), to: first)
        }
        // The claim was ours. Another server has taken it over since.
        guard entry.deadline != nil else { return giveUp(entry, .heldBySame(first), to: first) }
        guard !entry.isDropped else { return forget(entry) }
        askHome(of: first, for: entry, now: now)
    }

    private func isLeaving(_ held: HeldClaim) -> Bool {
        guard held.claim.home == id else { return false }
        return switch claims[held.claim.key]?.state {
        case .dropped, .releasing: true
        default: false
        }
    }

    mutating func giveUp(_ entry: OwnClaims.Entry, _ refusal: ClaimRefusal, to other: HeldClaim) {
        forget(entry)
        guard !entry.isDropped else { return }
        report(entry.deadline == nil ? .lost(entry.id, to: other) : .refused(entry.id, refusal))
    }

    // MARK: Time

    mutating func expireClaims(now: Instant) {
        for key in claims.takeExpired(now: now) {
            guard let entry = claims[key] else { continue }
            // A request that is on its way may still be performed: then the claim is given back.
            if !entry.isDropped { report(.refused(entry.id, .storeUnreachable)) }
            giveBack(key)
        }
    }

    /// The server leaves the cluster: nothing is granted any more, and no visitor waits.
    mutating func refuseWaiting() {
        for entry in claims.inOrder(where: { $0.deadline != nil && !$0.isDropped }) {
            report(.refused(entry.id, .storeUnreachable))
        }
        for id in names.takeWaiting() { report(.found(id, nil)) }
    }
}
