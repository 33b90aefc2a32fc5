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
    }

    enum State: Sendable {
        /// It waits for a request to the store. `over` is the epoch of the claim with the same key that it replaces.
        case queued(over: Revision?)
        /// A request is on its way.
        case sent(lease: LeaseID)
        /// Another server is asked for the session that holds it.
        case probing(ClusterNode.ProbeID, HeldClaim)
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
    private var deadlines = Queue<(at: Instant, id: ClusterNode.ClaimID)>()
    /// Places with a change on its way: the store evaluates the changes of one request together.
    private var busy: Set<ClaimPlace> = []

    var count: Int { byKey.count }

    subscript(key: ClaimKey) -> Entry? { byKey[key] }

    /// The key of a session's claim; nil if the claim is not wanted any more.
    func key(of id: ClusterNode.ClaimID) -> ClaimKey? { keys[id] }

    /// Adds a claim in the place of an earlier one with the same key.
    mutating func add(_ entry: Entry) {
        let key = entry.claim.key
        if let old = byKey.updateValue(entry, forKey: key) { keys[old.id] = nil }
        keys[entry.id] = key
        if let deadline = entry.deadline { deadlines.append((deadline, entry.id)) }
        if case .queued = entry.state { waiting.append(key) }
    }

    /// Changes the state of a claim. One that waits gets its turn again.
    mutating func set(_ state: State, of key: ClaimKey) {
        guard byKey[key] != nil else { return }
        byKey[key]?.state = state
        switch state {
        case .queued, .dropped: waiting.append(key)
        case .held: byKey[key]?.deadline = nil
        case .sent, .releasing, .probing: break
        }
    }

    mutating func markDropped(_ key: ClaimKey) {
        byKey[key]?.isDropped = true
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
            switch byKey[key]?.state {
            case .queued, .dropped:
                if busy.insert(key.place).inserted { taken.append(key) } else { later.append(key) }
            case .sent, .probing, .held, .releasing, nil:
                break
            }
        }
        for key in later { waiting.append(key) }
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

/// First in, first out. Removal takes constant time on average.
struct Queue<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    var isEmpty: Bool { head == elements.count }

    var first: Element? { isEmpty ? nil : elements[head] }

    mutating func append(_ element: Element) {
        elements.append(element)
    }

    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        defer {
            head += 1
            if head > 64, head * 2 > elements.count {
                elements.removeFirst(head)
                head = 0
            }
        }
        return elements[head]
    }
}
