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
        if names.wait(for: place, id) { send(.read(.place(place)), .read(.place(place)), now: now) }
        return (.asked(id), act(now))
    }

    /// A home has answered that it does not have the place any more, or was not reached.
    package mutating func moved(_ place: ClaimPlace) {
        guard !place.isPort else { return }
        forget(place)
    }

    private mutating func forget(_ place: ClaimPlace) {
        names.forget(place)
        for held in table.claims(of: place) { table.remove(held.claim.key) }
    }

    mutating func receiveName(_ reply: StoreReply, _ place: ClaimPlace, now: Instant) {
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
        // Without an answer, what was known is better than nothing.
        let known = table.claims(of: place)
        let found = if case .snapshot = reply { known } else { known.isEmpty ? nil : known }
        for id in names.takeWaiting(for: place) { report(.found(id, found)) }
    }
}
