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
        /// When the lease ends unless a sign of life has come.
        var endsAt: Instant
    }

    private(set) var leases: [Lease] = []
    /// Whether another lease has been asked for.
    var isGranting = false

    /// A lease with room for another entry.
    var free: LeaseID? { leases.first { $0.entries < StoreLimits.entriesOfLease }?.id }

    func contains(_ id: LeaseID) -> Bool { leases.contains { $0.id == id } }

    mutating func add(_ id: LeaseID, keepAliveAt: Instant, endsAt: Instant) {
        leases.append(Lease(id: id, keepAliveAt: keepAliveAt, endsAt: endsAt))
    }

    /// Takes or returns places in a lease.
    mutating func change(_ id: LeaseID, by count: Int) {
        update(id) { $0.entries += count }
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

    /// The time of the next sign of life.
    var deadline: Instant? { leases.filter { !$0.isAsking }.map(\.keepAliveAt).min() }

    mutating func answered(_ id: LeaseID, keepAliveAt: Instant, endsAt: Instant? = nil) {
        update(id) { lease in
            lease.isAsking = false
            lease.keepAliveAt = keepAliveAt
            if let endsAt { lease.endsAt = endsAt }
        }
    }

    mutating func remove(_ id: LeaseID) {
        leases.removeAll { $0.id == id }
    }

    private mutating func update(_ id: LeaseID, _ change: (inout Lease) -> Void) {
        if let index = leases.firstIndex(where: { $0.id == id }) { change(&leases[index]) }
    }
}
