import Mux

/// The claims of names, which are read when a visitor asks for one.
extension ClusterNode {
    /// The answer to a question for a name.
    package enum Lookup: Sendable, Hashable {
        /// The claims, none if the name has no owner.
        case known([HeldClaim])
        /// The store is asked. ``Action/found(_:_:)`` follows with the number.
        case asked(LookupID)
        /// Too many questions wait.
        case full
    }

    /// The claims of a name. Those of a port are known at any time.
    package mutating func find(_ place: ClaimPlace, now: Instant) -> (Lookup, [Action]) {
        let held = table.claims(of: place)
        if place.isPort || isStopped { return (.known(held), act(now)) }
        if let readAt = names.readAt(place) {
            let lifetime = held.isEmpty ? limits.unknownNameLifetime : limits.nameLifetime
            let isFresh = now.since(readAt) < lifetime && held.allSatisfy { isKnown($0.claim.home) }
            // Without the store, what was known goes on.
            if isFresh || (!isStoreReachable && !held.isEmpty) { return (.known(held), act(now)) }
        }
        guard names.lookups < limits.lookups else { return (.full, act(now)) }
        let id = LookupID(number: newNumber())
        if names.wait(for: place, id) { names.queue.append((place, now)) }
        readNames(now: now)
        return (.asked(id), act(now))
    }

    /// Reads names whose turn has come. Without an answer for a while, those behind are given up.
    private mutating func readNames(now: Instant) {
        while names.reads < limits.nameReads, let next = names.queue.popFirst() {
            guard now.since(next.since) < limits.nameWait else {
                answerVisitors(of: next.place, isRead: false)
                continue
            }
            names.reads += 1
            send(.read(.place(next.place)), .read(.place(next.place)), now: now)
        }
    }

    private mutating func answerVisitors(of place: ClaimPlace, isRead: Bool) {
        // Without an answer, what was known is better than nothing.
        let known = table.claims(of: place)
        let found = isRead || !known.isEmpty ? known : nil
        for id in names.takeWaiting(for: place) { report(.found(id, found)) }
    }

    /// A home has answered that it does not have the place any more, or was not reached.
    package mutating func moved(_ place: ClaimPlace) {
        if !place.isPort { names.doubt(place) }
    }

    private mutating func forget(_ place: ClaimPlace) {
        names.forget(place)
        for held in table.claims(of: place) { table.remove(held.claim.key) }
    }

    mutating func receiveName(_ reply: StoreReply, _ place: ClaimPlace, now: Instant) {
        names.reads -= 1
        if case .snapshot(let snapshot) = reply {
            forget(place)
            let claims = snapshot.claims.lazy.filter { $0.claim.key.place == place }.prefix(limits.claimsOfName)
            for held in claims {
                table.set(held)
                note(held)
            }
            let forgotten = names.note(place, isOwned: !claims.isEmpty, now: now, limits: limits)
            for place in forgotten { forget(place) }
        }
        let isRead = if case .snapshot = reply { true } else { false }
        answerVisitors(of: place, isRead: isRead)
        readNames(now: now)
    }
}
