import Mux

/// The names that a server has read, each with the time of its read, and the visitors that wait for one.
struct KnownNames: Sendable {
    /// Names in the order of their reads.
    private struct Reads: Sendable {
        var at: [ClaimPlace: Instant] = [:]
        var order = Queue<(place: ClaimPlace, at: Instant)>()

        /// Records a read.
        ///
        /// - Returns: names that are forgotten for it.
        mutating func note(_ place: ClaimPlace, now: Instant, limit: Int) -> [ClaimPlace] {
            at[place] = now
            order.append((place, now))
            var forgotten: [ClaimPlace] = []
            while at.count > limit, let oldest = order.popFirst() {
                // A name that was read again has a later place in the order.
                guard at[oldest.place] == oldest.at else { continue }
                at[oldest.place] = nil
                forgotten.append(oldest.place)
            }
            let known = at
            order.prune(above: known.count) { known[$0.place] == $0.at }
            return forgotten
        }
    }

    private var owned = Reads()
    private var unknown = Reads()
    /// Names whose claims have turned out to be old, so the store is asked again. They stay in use until it has answered.
    private var stale: Set<ClaimPlace> = []
    private(set) var waiting: [ClaimPlace: [ClusterNode.LookupID]] = [:]
    /// Visitors that wait.
    private(set) var lookups = 0
    /// Names that wait for their turn to be read, in the order of their visitors.
    var queue = Queue<(place: ClaimPlace, since: Instant)>()
    /// Names that are being read.
    var reads = 0

    /// The number of names that are remembered, with a claim and without one.
    var counts: (owned: Int, unknown: Int) { (owned.at.count, unknown.at.count) }

    /// When a name was read; nil if it is not known, or has turned out to be old.
    func readAt(_ place: ClaimPlace) -> Instant? { stale.contains(place) ? nil : owned.at[place] ?? unknown.at[place] }

    /// The claims of a name have turned out to be old.
    mutating func doubt(_ place: ClaimPlace) {
        if owned.at[place] != nil { stale.insert(place) }
    }

    /// Records a read of a name.
    ///
    /// - Returns: names that are forgotten for it.
    mutating func note(_ place: ClaimPlace, isOwned: Bool, now: Instant, limits: ClusterLimits) -> [ClaimPlace] {
        forget(place)
        guard isOwned else { return unknown.note(place, now: now, limit: limits.unknownNames) }
        return owned.note(place, now: now, limit: limits.names)
    }

    mutating func forget(_ place: ClaimPlace) {
        owned.at[place] = nil
        unknown.at[place] = nil
        stale.remove(place)
    }

    /// A visitor waits for a name.
    ///
    /// - Returns: whether it is the first one.
    mutating func wait(for place: ClaimPlace, _ id: ClusterNode.LookupID) -> Bool {
        lookups += 1
        waiting[place, default: []].append(id)
        return waiting[place]?.count == 1
    }

    mutating func takeWaiting(for place: ClaimPlace) -> [ClusterNode.LookupID] {
        let ids = waiting.removeValue(forKey: place) ?? []
        lookups -= ids.count
        return ids
    }

    mutating func takeWaiting() -> [ClusterNode.LookupID] {
        defer { (waiting, lookups, queue) = ([:], 0, Queue()) }
        return waiting.values.flatMap { $0 }
    }
}
