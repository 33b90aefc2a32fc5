import Mux

/// The state of a scope that a server watches.
enum ScopeState: Sendable {
    /// It is read, or watched again, at this time. `after` is the last revision that is known; nil if it has to be read.
    case waiting(after: Revision?, until: Instant)
    /// A read is on its way.
    case reading
    /// Its changes are reported. The revision is the last one that is known.
    case watching(Revision)
}

/// The entries of other servers, as the store reports them.
extension ClusterNode {
    /// Watches that end in a row, while the store answers requests, until the scope is read again. 3: the store may have
    /// been restored from a copy, and then its revisions are not those that the watch waits for.
    package static let brokenWatches = 3

    var scopeDeadline: Instant? {
        scopes.values.compactMap { state in
            if case .waiting(_, let until) = state { until } else { nil }
        }.min()
    }

    /// Reads or watches scopes whose time has come.
    mutating func readScopes(now: Instant) {
        for scope in [StoreScope.servers, .ports] {
            guard case .waiting(let after, let until) = scopes[scope], until <= now else { continue }
            if let after {
                scopes[scope] = .watching(after)
                report(.watch(scope, from: after.next))
            } else {
                scopes[scope] = .reading
                send(.read(scope), .read(scope), now: now)
            }
        }
    }

    mutating func receiveSnapshot(_ reply: StoreReply, of scope: StoreScope, now: Instant) {
        if case .place(let place) = scope { return receiveName(reply, place, now: now) }
        guard case .reading = scopes[scope] else { return }
        guard case .snapshot(let snapshot) = reply else {
            scopes[scope] = .waiting(after: nil, until: now + limits.shortestRetry)
            return
        }
        if scope == .servers { setServers(snapshot, now: now) } else { setPorts(snapshot, now: now) }
        scopes[scope] = .watching(snapshot.revision)
        report(.watch(scope, from: snapshot.revision.next))
    }

    private mutating func setServers(_ snapshot: StoreSnapshot, now: Instant) {
        knowsServers = true
        let records = snapshot.servers.prefix(limits.servers)
        let before = servers
        servers = Dictionary(records.map { ($0.id, $0) }) { $1 }
        for (server, record) in before where servers[server] == nil { serverLapsed(record, now: now) }
        for server in servers.keys where before[server] == nil { lapses.returned(server, until: now + Self.returnTime) }
        noteOwnRecord(servers[id], at: snapshot.revision)
    }

    /// The snapshot counts more than anything known before, even if the store's revisions have gone back.
    private mutating func setPorts(_ snapshot: StoreSnapshot, now: Instant) {
        let present = Set(snapshot.claims.map(\.claim.key))
        for held in table.all where held.claim.key.place.isPort && !present.contains(held.claim.key) {
            apply(.claimGone(held.claim.key), at: snapshot.revision, now: now)
        }
        let missing = claims.inOrder { $0.claim.key.place.isPort && !present.contains($0.claim.key) }
        for entry in missing { noteMissing(entry.claim.key, at: snapshot.revision) }
        for held in snapshot.claims { apply(.claim(held), at: held.epoch, now: now) }
    }

    /// An event of a watch.
    package mutating func receive(_ event: StoreEvent, of scope: StoreScope, now: Instant) -> [Action] {
        guard !isStopped, case .watching(let known) = scopes[scope] else { return act(now) }
        brokenWatches[scope] = nil
        switch event {
        case .progress(let revision):
            scopes[scope] = .watching(max(known, revision))
        case .changed(let changes, let revision):
            // A repetition changes nothing.
            guard revision > known else { return act(now) }
            scopes[scope] = .watching(revision)
            for change in changes { apply(change, at: revision, now: now) }
        }
        return act(now)
    }

    /// A watch has ended.
    package mutating func watchEnded(_ scope: StoreScope, _ failure: StoreFailure, now: Instant) -> [Action] {
        guard !isStopped, case .watching(let known) = scopes[scope] else { return act(now) }
        let broken = brokenWatches[scope, default: 0]
        brokenWatches[scope] = broken &+ 1
        // Without the store no watch can last, which says nothing of the revision.
        let isWrong = isStoreReachable && (broken + 1).isMultiple(of: Self.brokenWatches)
        let mustRead = failure == .compacted || isWrong
        let delay = min(limits.shortestRetry * (1 << min(broken, 10)), limits.longestRetry)
        scopes[scope] = .waiting(after: mustRead ? nil : known, until: now + delay)
        return act(now)
    }

    private mutating func apply(_ change: StoreEntryChange, at revision: Revision, now: Instant) {
        switch change {
        case .server(let record):
            if servers[record.id] == nil { lapses.returned(record.id, until: now + Self.returnTime) }
            if servers[record.id] != nil || servers.count < limits.servers { servers[record.id] = record }
            if record.id == id { noteOwnRecord(record, at: revision) }
        case .serverGone(let gone):
            if let record = servers.removeValue(forKey: gone) { serverLapsed(record, now: now) }
            if gone == id { noteOwnRecord(nil, at: revision) }
        case .claim(let held):
            guard held.claim.key.place.isPort else { return }
            if table[held.claim.key] != nil || ports < limits.portClaims { setPort(held) }
            note(held)
        case .claimGone(let key):
            noteMissing(key, at: revision)
            if key.place.isPort { removePort(key, now: now) }
        }
    }

    private mutating func setPort(_ held: HeldClaim) {
        let isNew = table[held.claim.key] == nil
        if isNew { ports += 1 }
        table.set(held)
        dropLapses(besides: held.claim.key)
        report(.portChanged(held.claim.key.place))
    }

    /// The claims of a port: where its visitors may be sent.
    package func claims(of place: ClaimPlace) -> [HeldClaim] { table.claims(of: place) }

    /// Whether visitors may be sent to a server: the store has its record, or a link to it lives.
    package func isKnown(_ server: ServerID) -> Bool {
        server == id || servers[server] != nil || linked.contains(server)
    }
}
