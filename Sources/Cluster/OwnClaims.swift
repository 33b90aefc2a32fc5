import Mux

/// The claims of one server: what its sessions want, have and give back.
struct OwnClaims: Sendable {
    /// One claim, from the session's wish until the store has removed it.
    struct Entry: Sendable {
        let id: ClusterNode.ClaimID
        var claim: Claim
        var state: State
        /// When a claim that was never granted is given up; nil for one that was.
        var deadline: Instant?
        /// Whether its session does not want it any more.
        var isDropped = false
        /// Whether the store may have the claim although no answer says so, or has an earlier one of this server.
        var mayBeStored = false
        /// When the last request failed whose effect is not known. The store may perform it still.
        var failedAt: Instant?
        /// The server from which it is taken over.
        var takenFrom: ServerRecord?
    }

    enum State: Sendable {
        /// It waits for a request to the store. `over` is the epoch of the claim with the same key that it replaces.
        case queued(over: Revision?)
        /// A request is on its way.
        case sent(lease: LeaseID)
        /// Another server is asked for the session that holds it.
        case probing(ClusterNode.ProbeID)
        /// It is granted, by a request with this lease.
        case held(epoch: Revision, lease: LeaseID)
        /// It waits for its removal.
        case dropped(epoch: Revision, lease: LeaseID?)
        /// The removal is on its way.
        case releasing(epoch: Revision, lease: LeaseID?)
    }

    private(set) var byKey: [ClaimKey: Entry] = [:]
    private var keys: [ClusterNode.ClaimID: ClaimKey] = [:]
    private var waiting = Queue<ClaimKey>()
    /// The keys in `waiting`: each stands there once.
    private var isWaiting: Set<ClaimKey> = []
    private var deadlines = Queue<(at: Instant, id: ClusterNode.ClaimID)>()
    /// Places with a change on its way: the store evaluates the changes of one request together.
    private var busy: Set<ClaimPlace> = []

    var count: Int { byKey.count }
    /// Sizes of the queues, which claims that were given back leave in time.
    var waitingCount: Int { waiting.count }
    var deadlineCount: Int { deadlines.count }

    subscript(key: ClaimKey) -> Entry? { byKey[key] }

    /// The key of a session's claim; nil if the claim is not wanted any more.
    func key(of id: ClusterNode.ClaimID) -> ClaimKey? { keys[id] }

    /// Claims in the order in which they were wanted.
    func inOrder(where fits: (Entry) -> Bool) -> [Entry] {
        byKey.values.filter(fits).sorted { $0.id.number < $1.id.number }
    }

    /// Adds a claim in the place of an earlier one with the same key.
    mutating func add(_ entry: Entry) {
        let key = entry.claim.key
        if let old = byKey.updateValue(entry, forKey: key) { keys[old.id] = nil }
        keys[entry.id] = key
        if let deadline = entry.deadline {
            let wanted = keys
            deadlines.prune(above: wanted.count) { wanted[$0.id] != nil }
            deadlines.append((deadline, entry.id))
        }
        wait(key, entry.state)
    }

    /// Changes the state of a claim. One that waits gets its turn again.
    mutating func set(_ state: State, of key: ClaimKey) {
        guard byKey[key] != nil else { return }
        byKey[key]?.state = state
        if case .held = state {
            byKey[key]?.deadline = nil
            byKey[key]?.mayBeStored = false
        }
        wait(key, state)
    }

    private mutating func wait(_ key: ClaimKey, _ state: State) {
        switch state {
        case .queued, .dropped:
            let known = byKey
            for key in waiting.prune(above: known.count, keeping: { known[$0] != nil }) { isWaiting.remove(key) }
            if isWaiting.insert(key).inserted { waiting.append(key) }
        case .sent, .releasing, .probing, .held:
            break
        }
    }

    mutating func markDropped(_ key: ClaimKey) {
        byKey[key]?.isDropped = true
    }

    mutating func markStored(_ key: ClaimKey, _ mayBeStored: Bool, failedAt: Instant? = nil) {
        byKey[key]?.mayBeStored = mayBeStored
        if let failedAt { byKey[key]?.failedAt = failedAt }
    }

    mutating func markTaken(_ key: ClaimKey, from home: ServerRecord?) {
        byKey[key]?.takenFrom = home
    }

    mutating func remove(_ key: ClaimKey) {
        if let old = byKey.removeValue(forKey: key) { keys[old.id] = nil }
    }

    // MARK: Turns

    /// Whether a claim waits for a request.
    var hasWaiting: Bool { !waiting.isEmpty }

    /// The next claims to send, each of another place; none whose place has a change on its way.
    mutating func takeWaiting(limit: Int) -> [ClaimKey] {
        var taken: [ClaimKey] = []
        var later: [ClaimKey] = []
        while taken.count < limit, later.count < StoreLimits.changes, let key = waiting.popFirst() {
            isWaiting.remove(key)
            switch byKey[key]?.state {
            case .queued, .dropped:
                if busy.insert(key.place).inserted { taken.append(key) } else { later.append(key) }
            case .sent, .probing, .held, .releasing, nil:
                break
            }
        }
        for key in later where isWaiting.insert(key).inserted { waiting.append(key) }
        return taken
    }

    /// A change of a place is not on its way any more.
    mutating func settle(_ place: ClaimPlace) {
        busy.remove(place)
    }

    // MARK: Time

    /// The time of the next ``takeExpired(now:)``.
    var deadline: Instant? { deadlines.first?.at }

    /// The claims that were not granted in time.
    mutating func takeExpired(now: Instant) -> [ClaimKey] {
        var expired: [ClaimKey] = []
        while let first = deadlines.first, first.at <= now {
            _ = deadlines.popFirst()
            guard let key = keys[first.id], byKey[key]?.deadline != nil else { continue }
            expired.append(key)
        }
        return expired
    }
}
