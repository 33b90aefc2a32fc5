@testable import Cluster

/// The store of a simulation: one history, as ``MemoryClaimStore`` has it, with leases that end.
struct SimulatedStore {
    private struct Stored {
        var held: HeldClaim
        var lease: LeaseID
    }

    private struct Lease {
        var claims: Set<ClaimKey> = []
        var servers: Set<ServerID> = []
        var endsAt: UInt64
        let seconds: UInt64
    }

    /// Changes of a scope that a watch can still report.
    struct History {
        var events: [(revision: Revision, changes: [StoreEntryChange])] = []
        /// The revision up to which changes are forgotten.
        var compacted = Revision.zero
    }

    private var byPlace: [ClaimPlace: [Stored]] = [:]
    /// Ports that have a claim.
    private var ports: Set<ClaimPlace> = []
    private var servers: [ServerID: (record: ServerRecord, lease: LeaseID)] = [:]
    private var leases: [LeaseID: Lease] = [:]
    private var lastLease: Int64 = 0
    private(set) var revision = Revision.zero
    private(set) var history: [StoreScope: History] = [.servers: History(), .ports: History()]
    /// Owners that a place has had. Places that one client wants are left out.
    private(set) var owners: [ClaimPlace: Set<ClaimOwner>] = [:]
    let contested: Set<ClaimPlace>
    private(set) var claimCount = 0
    /// Entries that were written or removed.
    private(set) var writes = 0
    /// Scopes that have changed since the simulation has looked.
    var changed: Set<StoreScope> = []
    var failure: String?

    init(contested: Set<ClaimPlace>) {
        self.contested = contested
    }

    var leaseCount: Int { leases.count }
    var serverCount: Int { servers.count }
    var allClaims: [HeldClaim] { byPlace.values.flatMap { $0.map(\.held) } }

    func claims(of place: ClaimPlace) -> [HeldClaim] { (byPlace[place] ?? []).map(\.held) }

    func claim(_ key: ClaimKey) -> HeldClaim? { byPlace[key.place]?.first { $0.held.claim.key == key }?.held }

    // MARK: Requests

    mutating func perform(_ request: StoreRequest, now: UInt64) -> StoreReply {
        switch request {
        case .grantLease(let seconds):
            lastLease += 1
            let length = UInt64(seconds) * 1_000_000_000
            leases[LeaseID(lastLease)] = Lease(endsAt: now + length, seconds: length)
            return .lease(LeaseID(lastLease))
        case .keepAlive(let id):
            guard let lease = leases[id] else { return .isAlive(false) }
            leases[id]?.endsAt = now + lease.seconds
            return .isAlive(true)
        case .revoke(let id):
            end(id)
            return .revoked
        case .apply(let changes):
            if changes.count > StoreLimits.changes { failure = failure ?? "\(changes.count) changes in a request" }
            return .answers(changes.map { apply($0) })
        case .read(let scope):
            var snapshot = StoreSnapshot(revision: revision)
            switch scope {
            case .servers: snapshot.servers = servers.values.map(\.record).sorted { $0.id < $1.id }
            case .ports: snapshot.claims = ports.flatMap { claims(of: $0) }.sorted { $0.epoch < $1.epoch }
            case .place(let place): snapshot.claims = claims(of: place)
            }
            return .snapshot(snapshot)
        }
    }

    /// When a lease ends unless it is kept alive; nil if it has ended.
    func end(of lease: LeaseID) -> UInt64? { leases[lease]?.endsAt }

    /// The claims of a lease.
    func claims(of lease: LeaseID) -> [HeldClaim] { leases[lease]?.claims.compactMap { claim($0) } ?? [] }

    var livingLeases: [LeaseID] { leases.keys.sorted { $0.number < $1.number } }

    /// Ends a lease: its entries are removed.
    mutating func end(_ id: LeaseID) {
        guard let lease = leases.removeValue(forKey: id) else { return }
        let claims = lease.claims.compactMap { claim($0) }.sorted { $0.epoch < $1.epoch }
        var changes: [StoreEntryChange] = claims.map { .claimGone($0.claim.key) }
        for key in lease.claims { remove(key) }
        for server in lease.servers.sorted() {
            servers[server] = nil
            changes.append(.serverGone(server))
        }
        commit(changes)
    }

    /// Forgets the history.
    mutating func compact() {
        for scope in history.keys { history[scope] = History(compacted: revision) }
    }

    private mutating func remove(_ key: ClaimKey) {
        guard let index = byPlace[key.place]?.firstIndex(where: { $0.held.claim.key == key }) else { return }
        byPlace[key.place]?.remove(at: index)
        if byPlace[key.place]?.isEmpty == true {
            byPlace[key.place] = nil
            ports.remove(key.place)
        }
        claimCount -= 1
    }

    private mutating func apply(_ change: StoreChange) -> StoreAnswer {
        switch change {
        case .claim(let claim, let lease, let over):
            return write(claim, lease, over)
        case .release(let key, let epoch):
            guard let stored = byPlace[key.place]?.first(where: { $0.held.claim.key == key }),
                stored.held.epoch == epoch
            else { return .released }
            leases[stored.lease]?.claims.remove(key)
            remove(key)
            commit([.claimGone(key)])
            return .released
        case .server(let record, let lease):
            guard leases[lease] != nil else { return .leaseEnded }
            if let old = servers[record.id] { leases[old.lease]?.servers.remove(record.id) }
            servers[record.id] = (record, lease)
            leases[lease]?.servers.insert(record.id)
            commit([.server(record)])
            return .granted(epoch: revision)
        case .withdraw(let id):
            guard let old = servers.removeValue(forKey: id) else { return .released }
            leases[old.lease]?.servers.remove(id)
            commit([.serverGone(id)])
            return .released
        }
    }

    private mutating func write(_ claim: Claim, _ lease: LeaseID, _ over: Revision?) -> StoreAnswer {
        let key = claim.key
        guard leases[lease] != nil else { return .leaseEnded }
        let others = (byPlace[key.place] ?? []).filter { $0.held.claim.key.excludes(key) }
        if let over {
            guard others.count == 1, others[0].held.claim.key == key, others[0].held.epoch == over else {
                return .held(others.map(\.held))
            }
        } else if !others.isEmpty {
            return .held(others.map(\.held))
        }
        let held = HeldClaim(claim, epoch: revision.next)
        if let old = others.first {
            leases[old.lease]?.claims.remove(key)
            remove(key)
        }
        byPlace[key.place, default: []].append(Stored(held: held, lease: lease))
        claimCount += 1
        if key.place.isPort { ports.insert(key.place) }
        leases[lease]?.claims.insert(key)
        if let count = leases[lease]?.claims.count, count > StoreLimits.entriesOfLease + 60 {
            failure = failure ?? "\(count) entries in a lease"
        }
        if contested.contains(key.place) { owners[key.place, default: []].insert(key.owner) }
        commit([.claim(held)])
        check(key.place)
        return .granted(epoch: held.epoch)
    }

    private mutating func commit(_ changes: [StoreEntryChange]) {
        guard !changes.isEmpty else { return }
        revision = revision.next
        writes += changes.count
        for scope in [StoreScope.servers, .ports] {
            let own = changes.filter { $0.belongs(to: scope) }
            guard !own.isEmpty else { continue }
            history[scope]?.events.append((revision, own))
            changed.insert(scope)
        }
    }

    /// No two claims of a place exclude each other.
    private mutating func check(_ place: ClaimPlace) {
        guard let stored = byPlace[place], stored.count > 1, failure == nil else { return }
        for (index, one) in stored.enumerated() {
            for other in stored[(index + 1)...] where one.held.claim.key.excludes(other.held.claim.key) {
                failure = "the store has \(one.held.claim.key) and \(other.held.claim.key)"
            }
        }
    }
}
