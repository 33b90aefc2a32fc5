import Mux

/// The leases of one server, each with a bounded number of entries.
struct LeasePool: Sendable {
    struct Lease: Sendable {
        let id: LeaseID
        var entries = 0
        /// When the next sign of life is due.
        var keepAliveAt: Instant
        /// Whether a sign of life is on its way.
        var isAsking = false
    }

    private(set) var leases: [Lease] = []
    /// Whether another lease has been asked for.
    var isGranting = false

    /// A lease with room for another entry.
    var free: LeaseID? { leases.first { $0.entries < StoreLimits.entriesOfLease }?.id }

    func contains(_ id: LeaseID) -> Bool { leases.contains { $0.id == id } }

    mutating func add(_ id: LeaseID, keepAliveAt: Instant) {
        leases.append(Lease(id: id, keepAliveAt: keepAliveAt))
    }

    /// Takes or returns places in a lease. A lease that has ended has none.
    mutating func change(_ id: LeaseID, by count: Int) {
        update(id) { $0.entries = max(0, $0.entries + count) }
    }

    /// The leases whose sign of life is due. They count as asked.
    mutating func takeDue(now: Instant) -> [LeaseID] {
        var due: [LeaseID] = []
        for index in leases.indices where !leases[index].isAsking && leases[index].keepAliveAt <= now {
            leases[index].isAsking = true
            due.append(leases[index].id)
        }
        return due
    }

    /// Removes a lease without entries while the others have much room: half a lease.
    mutating func takeSpare() -> LeaseID? {
        guard leases.count > 1, let spare = leases.last(where: { $0.entries == 0 && !$0.isAsking }) else { return nil }
        let others = leases.filter { $0.id != spare.id }
        guard others.contains(where: { $0.entries <= StoreLimits.entriesOfLease / 2 }) else { return nil }
        remove(spare.id)
        return spare.id
    }

    /// The time of the next sign of life.
    var deadline: Instant? { leases.lazy.filter { !$0.isAsking }.map(\.keepAliveAt).min() }

    mutating func answered(_ id: LeaseID, keepAliveAt: Instant) {
        update(id) { lease in
            lease.isAsking = false
            lease.keepAliveAt = keepAliveAt
        }
    }

    mutating func remove(_ id: LeaseID) {
        leases.removeAll { $0.id == id }
    }

    private mutating func update(_ id: LeaseID, _ change: (inout Lease) -> Void) {
        if let index = leases.firstIndex(where: { $0.id == id }) { change(&leases[index]) }
    }
}
