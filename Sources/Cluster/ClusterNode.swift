import Mux

/// One server's part in a cluster: its leases and claims, and what it knows of the other servers' claims.
///
/// ```
///   sessions ── want, drop ──▶ ┌─────────────┐ ── requests ──────────▶ ClaimStore
///   visitors ── find ────────▶ │ ClusterNode │ ◀── replies, events ───
///   links ──── up, down ─────▶ └─────────────┘ ── probes, reports ──▶ links, sessions
/// ```
///
/// What it knows stays in use while the store cannot be reached. Its own claims count although their lease may have ended:
/// they are put back. A claim that another server has got meanwhile is lost, since its epoch is higher.
///
/// Pure: events and times go in, ``Action``s come out. Its owner performs them.
package struct ClusterNode: Sendable {
    /// What the owner has to do.
    package enum Action: Sendable, Hashable {
        /// Sends a request to the store, and reports the reply with its number.
        case request(RequestID, StoreRequest)
        /// Watches a scope from a revision on. An older watch of the scope ends.
        case watch(StoreScope, from: Revision)
        /// A wanted claim is granted.
        case granted(ClaimID)
        /// A wanted claim is not granted. It may be wanted again.
        case refused(ClaimID, ClaimRefusal)
        /// A granted claim belongs to another server or client now: the place is to be given up here.
        case lost(ClaimID, to: HeldClaim)
        /// Asks a server whether a session is alive, and reports the answer.
        case probe(ProbeID, ServerRecord, session: [UInt8])
        /// Tells a server that a claim of it was taken over, which it does not watch. The server calls ``taken(_:now:)``.
        case taken(ServerRecord, ClaimKey)
        /// The claims of a port have changed. A server listens while there are any.
        case portChanged(ClaimPlace)
        /// What is known of a name now; nil if the store has not answered.
        case found(LookupID, [HeldClaim]?)
    }

    /// The number of a request to the store.
    package struct RequestID: Sendable, Hashable { let number: UInt64 }

    /// The number of a wanted claim.
    package struct ClaimID: Sendable, Hashable { let number: UInt64 }

    /// The number of a question for a session.
    package struct ProbeID: Sendable, Hashable { let number: UInt64 }

    /// The number of a question for a name.
    package struct LookupID: Sendable, Hashable { let number: UInt64 }

    package let limits: ClusterLimits
    var record: ServerRecord
    var leases = LeasePool()
    var claims = OwnClaims()
    /// The lease of the server's record; nil if the record has to be written.
    var recordLease: LeaseID?
    /// The revision that wrote the record.
    var recordEpoch = Revision.zero
    var isWritingRecord = false
    /// The other servers and this one.
    package internal(set) var servers: [ServerID: ServerRecord] = [:]
    /// Servers with a link that lives. It counts more than a lease that has ended.
    var linked: Set<ServerID> = []
    /// The claims of all ports, and those of names that were read.
    var table = ClaimTable()
    /// The number of claims of ports in the table.
    var ports = 0
    var lapses = LapsedClaims()
    var names = KnownNames()
    var scopes: [StoreScope: ScopeState] = [:]
    /// Ends of a scope's watches since its last event.
    var brokenWatches: [StoreScope: Int] = [:]
    /// Whether the servers were read: without them, the home of a claim looks gone.
    var knowsServers = false
    var probes: [ProbeID: Probe] = [:]
    var probeDeadlines = Queue<(at: Instant, id: ProbeID)>()
    /// Questions for sessions whose home is not known. The servers are read for them.
    var homeless: [ProbeID] = []
    var isReadingHomes = false
    var audits = Queue<(at: Instant, place: ClaimPlace)>()
    var takenKeys = Queue<ClaimKey>()
    var auditing = 0
    var notices: [ServerID: [Notice]] = [:]
    /// Requests on their way that change entries.
    private(set) var batches = 0
    private var numbers: UInt64 = 0
    private var requests: [RequestID: (request: Request, sentAt: Instant)] = [:]
    private var actions: [Action] = []
    /// Requests that have failed since the last reply.
    private var failures = 0
    /// When requests are sent again after a failure.
    private var pausedUntil: Instant?
    private(set) var isStopped = false

    /// Creates the node of a server. It asks for nothing until ``start(now:)``.
    package init(_ record: ServerRecord, limits: ClusterLimits = ClusterLimits()) {
        (self.record, self.limits) = (record, limits)
    }

    /// The id of this server.
    package var id: ServerID { record.id }

    // MARK: Life

    /// Joins the cluster.
    ///
    /// - Parameter url: where other servers reach this one; nil for the record's own.
    package mutating func start(at url: String? = nil, now: Instant) -> [Action] {
        if let url { record.peerURL = url }
        scopes = [.servers: .waiting(after: nil, until: now), .ports: .waiting(after: nil, until: now)]
        return act(now)
    }

    /// Announces that the server accepts no further session.
    package mutating func drain(now: Instant) -> [Action] {
        record.isDraining = true
        renewRecord()
        return act(now)
    }

    /// Leaves the cluster: its entries are removed with their leases. Visitors and claims that wait are refused.
    package mutating func stop(now: Instant) -> [Action] {
        guard !isStopped else { return [] }
        isStopped = true
        for lease in leases.leases { send(.revoke, .revoke(lease.id), now: now) }
        refuseWaiting()
        return takeActions()
    }

    // MARK: Requests

    mutating func newNumber() -> UInt64 {
        numbers += 1
        return numbers
    }

    mutating func report(_ action: Action) {
        actions.append(action)
    }

    @discardableResult
    mutating func send(_ request: Request, _ wire: StoreRequest, now: Instant) -> RequestID {
        let id = RequestID(number: newNumber())
        requests[id] = (request, now)
        if case .apply = request { batches += 1 }
        report(.request(id, wire))
        return id
    }

    /// The store's reply to a request. A repetition changes nothing.
    package mutating func receive(_ reply: StoreReply, to id: RequestID, now: Instant) -> [Action] {
        guard let (request, sentAt) = requests.removeValue(forKey: id), !isStopped else { return [] }
        // An answer of another kind tells nothing.
        let reply = request.fits(reply) ? reply : .failed(.malformed("an answer of another kind"))
        if request.isForVisitors {
            // Visitors cause these reads, as many as they like. They neither hold up the other requests nor release them.
        } else if case .failed = reply {
            noteFailure(sentAt: sentAt, now: now)
        } else {
            (failures, pausedUntil) = (0, nil)
        }
        switch request {
        case .grantLease: receiveLease(reply, sentAt, now: now)
        case .keepAlive(let lease): receiveSign(of: lease, reply, sentAt, now: now)
        case .revoke: break
        case .apply(let changes):
            batches -= 1
            receiveAnswers(reply, to: changes, now: now)
        case .read(let scope): receiveSnapshot(reply, of: scope, now: now)
        case .audit(let place, let key): receiveAudit(reply, of: place, taken: key, now: now)
        case .homes(let probes): receiveHomes(reply, for: probes)
        }
        return act(now)
    }

    /// Records a failure: the next request waits a while, counted from the failed one. Several requests may fail of the
    /// same cause.
    mutating func noteFailure(sentAt: Instant, now: Instant) {
        guard pausedUntil == nil else { return }
        let delay = min(limits.shortestRetry * (1 << min(failures, 10)), limits.longestRetry)
        failures += 1
        // A request that has waited for its answer for that long has been a pause itself.
        if sentAt + delay > now { pausedUntil = sentAt + delay }
    }

    /// Whether the store has answered the last request.
    package var isStoreReachable: Bool { failures == 0 }

    // MARK: Time

    /// When ``tick(now:)`` is due; nil if nothing waits for a time.
    package var deadline: Instant? {
        guard !isStopped else { return nil }
        // Requests wait for the end of a pause, though they may be due earlier.
        let request = [leases.deadline, scopeDeadline, auditDeadline].compactMap { $0 }.min()
        let paused = pausedUntil.map { max(request ?? $0, $0) }
        return [paused ?? request, pausedUntil, claims.deadline, probeDeadlines.first?.at, lapses.deadline].compactMap {
            $0
        }.min()
    }

    /// Time has passed.
    package mutating func tick(now: Instant) -> [Action] {
        guard !isStopped else { return [] }
        if let pausedUntil, now >= pausedUntil { self.pausedUntil = nil }
        expireClaims(now: now)
        expireProbes(now: now)
        expireLapses(now: now)
        return act(now)
    }

    /// Sends what is due, and returns all actions.
    mutating func act(_ now: Instant) -> [Action] {
        if !isStopped, pausedUntil == nil {
            askForLeases(now: now)
            sendChanges(now: now)
            readScopes(now: now)
            readHomes(now: now)
            sendAudits(now: now)
        }
        return takeActions()
    }

    private mutating func takeActions() -> [Action] {
        defer { actions = [] }
        return actions
    }
}
