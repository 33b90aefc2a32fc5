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
    var scopeDeadline: Instant? {
        scopes.values.compactMap { state in
            if case .waiting(_, let until) = state { until } else { nil }
        }.min()
    }

    /// Reads or watches scopes whose time has come.
    mutating func readScopes(now: Instant) {
        for (scope, state) in scopes {
            guard case .waiting(let after, let until) = state, until <= now else { continue }
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
        guard case .snapshot(let snapshot) = reply else {
            scopes[scope] = .waiting(after: nil, until: now + limits.shortestRetry)
            return
        }
        switch scope {
        case .servers:
            servers = Dictionary(snapshot.servers.map { ($0.id, $0) }) { $1 }
        case .ports:
            let present = Set(snapshot.claims.map(\.claim.key))
            for held in table.all where held.claim.key.place.isPort && !present.contains(held.claim.key) {
                apply(.claimGone(held.claim.key), at: snapshot.revision)
            }
            for held in snapshot.claims { apply(.claim(held), at: held.epoch) }
        case .place:
            break
        }
        scopes[scope] = .watching(snapshot.revision)
        report(.watch(scope, from: snapshot.revision.next))
    }

    /// An event of a watch.
    package mutating func receive(_ event: StoreEvent, of scope: StoreScope, now: Instant) -> [Action] {
        guard case .watching(let known) = scopes[scope] else { return act(now) }
        switch event {
        case .progress(let revision):
            scopes[scope] = .watching(max(known, revision))
        case .changed(let changes, let revision):
            // A repetition changes nothing.
            guard revision > known else { return act(now) }
            scopes[scope] = .watching(revision)
            for change in changes { apply(change, at: revision) }
        }
        return act(now)
    }

    /// A watch has ended.
    package mutating func watchEnded(_ scope: StoreScope, _ failure: StoreFailure, now: Instant) -> [Action] {
        guard case .watching(let known) = scopes[scope] else { return act(now) }
        let after: Revision? = failure == .compacted ? nil : known
        scopes[scope] = .waiting(after: after, until: now + limits.shortestRetry)
        return act(now)
    }

    private mutating func apply(_ change: StoreEntryChange, at revision: Revision) {
        switch change {
        case .server(let record):
            servers[record.id] = record
        case .serverGone(let id):
            servers[id] = nil
        case .claim(let held):
            // A later state of the claim may be known from an answer.
            if let known = table[held.claim.key], known.epoch >= held.epoch { return }
            table.set(held)
            noteOther(held)
            if held.claim.key.place.isPort { report(.portChanged(held.claim.key.place)) }
        case .claimGone(let key):
            guard table.remove(key) != nil else { return }
            if key.place.isPort { report(.portChanged(key.place)) }
        }
    }

    /// The claims of a port: where its visitors may be sent.
    package func claims(of place: ClaimPlace) -> [HeldClaim] { table.claims(of: place) }

    // MARK: Links

    /// A link to a server lives, or has ended.
    package mutating func link(to server: ServerID, isUp: Bool) {
        if isUp { linked.insert(server) } else { linked.remove(server) }
    }

    /// Whether visitors may be sent to a server: the store has its record, or a link to it lives.
    package func isKnown(_ server: ServerID) -> Bool { servers[server] != nil || linked.contains(server) }
}
