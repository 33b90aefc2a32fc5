import Mux

/// The names that a server has read, each with the time of its read, and the visitors that wait for one.
struct KnownNames: Sendable {
    private(set) var readAt: [ClaimPlace: Instant] = [:]
    private var order = Queue<(place: ClaimPlace, at: Instant)>()
    var waiting: [ClaimPlace: [ClusterNode.LookupID]] = [:]
    var lookups = 0

    /// Records a read.
    ///
    /// - Returns: names that are forgotten for it.
    mutating func note(_ place: ClaimPlace, now: Instant, limit: Int) -> [ClaimPlace] {
        readAt[place] = now
        order.append((place, now))
        var forgotten: [ClaimPlace] = []
        while readAt.count > limit, let oldest = order.popFirst() {
            // A name that was read again has a later place in the order.
            guard readAt[oldest.place] == oldest.at else { continue }
            readAt[oldest.place] = nil
            forgotten.append(oldest.place)
        }
        return forgotten
    }

    mutating func forget(_ place: ClaimPlace) {
        readAt[place] = nil
    }
}

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

    /// The claims of a name.
    package mutating func find(_ place: ClaimPlace, now: Instant) -> (Lookup, [Action]) {
        let held = table.claims(of: place)
        if let readAt = names.readAt[place] {
            let lifetime = held.isEmpty ? limits.unknownNameLifetime : limits.nameLifetime
            let isFresh = now.since(readAt) < lifetime && held.allSatisfy { isKnown($0.claim.home) }
            // Without the store, what was known goes on.
            if isFresh || (!isStoreReachable && !held.isEmpty) { return (.known(held), act(now)) }
        }
        guard names.lookups < limits.lookups else { return (.full, act(now)) }
        let id = LookupID(number: newNumber())
        names.lookups += 1
        let isFirst = names.waiting[place] == nil
        names.waiting[place, default: []].append(id)
        if isFirst { send(.read(.place(place)), .read(.place(place)), now: now) }
        return (.asked(id), act(now))
    }

    /// A home has answered that it does not have the place any more.
    package mutating func moved(_ place: ClaimPlace) {
        guard !place.isPort else { return }
        forget(place)
    }

    private mutating func forget(_ place: ClaimPlace) {
        names.forget(place)
        for held in table.claims(of: place) { table.remove(held.claim.key) }
    }

    mutating func receiveName(_ reply: StoreReply, _ place: ClaimPlace, now: Instant) {
        let ids = names.waiting.removeValue(forKey: place) ?? []
        names.lookups -= ids.count
        var found: [HeldClaim]?
        if case .snapshot(let snapshot) = reply {
            for held in table.claims(of: place) { table.remove(held.claim.key) }
            for held in snapshot.claims where held.claim.key.place == place {
                table.set(held)
                noteOther(held)
            }
            for forgotten in names.note(place, now: now, limit: limits.names) { forget(forgotten) }
            found = table.claims(of: place)
        } else if !table.claims(of: place).isEmpty {
            // What was known is better than nothing.
            found = table.claims(of: place)
        }
        for id in ids { report(.found(id, found)) }
    }
}
