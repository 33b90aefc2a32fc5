import Synchronization

/// A store in memory: for a server without a cluster, and for tests.
///
/// Leases last until they are revoked, since this process alone keeps them.
package final class MemoryClaimStore: ClaimStore {
    private struct Lease {
        var claims: Set<ClaimKey> = []
        var servers: Set<ServerID> = []
    }

    private struct Watch {
        let scope: StoreScope
        let continuation: AsyncThrowingStream<StoreEvent, any Error>.Continuation
    }

    private struct State {
        var table = ClaimTable()
        var servers: [ServerID: (record: ServerRecord, lease: LeaseID)] = [:]
        var leases: [LeaseID: Lease] = [:]
        var leaseOfClaim: [ClaimKey: LeaseID] = [:]
        var lastLease: Int64 = 0
        var revision = Revision.zero
        /// The changes since the last compaction.
        var history: [(revision: Revision, changes: [StoreEntryChange])] = []
        var compacted = Revision.zero
        var watches: [Int: Watch] = [:]
        var lastWatch = 0
    }

    private let state = Mutex(State())

    /// Creates an empty store.
    package init() {}

    package func grantLease(seconds: Int) async throws(StoreFailure) -> LeaseID {
        state.withLock { state in
            state.lastLease += 1
            let id = LeaseID(state.lastLease)
            state.leases[id] = Lease()
            return id
        }
    }

    package func keepAlive(_ lease: LeaseID) async throws(StoreFailure) -> Bool {
        state.withLock { $0.leases[lease] != nil }
    }

    package func revoke(_ lease: LeaseID) async throws(StoreFailure) {
        state.withLock { state in
            guard let ended = state.leases.removeValue(forKey: lease) else { return }
            var changes: [StoreEntryChange] = []
            for key in ended.claims {
                state.table.remove(key)
                state.leaseOfClaim[key] = nil
                changes.append(.claimGone(key))
            }
            for id in ended.servers {
                state.servers[id] = nil
                changes.append(.serverGone(id))
            }
            Self.commit(changes, &state)
        }
    }

    package func apply(_ changes: [StoreChange]) async throws(StoreFailure) -> [StoreAnswer] {
        state.withLock { state in changes.map { Self.apply($0, &state) } }
    }

    package func read(_ scope: StoreScope) async throws(StoreFailure) -> StoreSnapshot {
        state.withLock { state in
            var snapshot = StoreSnapshot(revision: state.revision)
            switch scope {
            case .servers: snapshot.servers = state.servers.values.map(\.record).sorted { $0.id < $1.id }
            case .ports: snapshot.claims = state.table.all.filter(\.claim.key.place.isPort)
            case .place(let place): snapshot.claims = state.table.claims(of: place)
            }
            snapshot.claims.sort { "\($0.claim.key)" < "\($1.claim.key)" }
            return snapshot
        }
    }

    package func watch(_ scope: StoreScope, from revision: Revision) -> AsyncThrowingStream<StoreEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream<StoreEvent, any Error>.makeStream()
        let isKnown = state.withLock { state in
            guard revision > state.compacted else { return false }
            let watch = Watch(scope: scope, continuation: continuation)
            for (revision, changes) in state.history.filter({ $0.revision >= revision }) {
                _ = Self.report(changes, at: revision, to: watch)
            }
            state.lastWatch += 1
            state.watches[state.lastWatch] = watch
            return true
        }
        if !isKnown { continuation.finish(throwing: StoreFailure.compacted) }
        return stream
    }

    /// Forgets the changes up to the present revision. Watches that live continue.
    package func compact() {
        state.withLock { state in
            state.history = []
            state.compacted = state.revision
        }
    }

    private static func apply(_ change: StoreChange, _ state: inout State) -> StoreAnswer {
        switch change {
        case .claim(let claim, let lease, let over):
            guard state.leases[lease] != nil else { return .leaseEnded }
            let others = state.table.excluding(claim.key)
            if let over {
                guard others.count == 1, others[0].claim.key == claim.key, others[0].epoch == over else {
                    return .held(others)
                }
            } else if !others.isEmpty {
                return .held(others)
            }
            let held = HeldClaim(claim, epoch: state.revision.next)
            state.table.set(held)
            if let old = state.leaseOfClaim.updateValue(lease, forKey: claim.key) {
                state.leases[old]?.claims.remove(claim.key)
            }
            state.leases[lease]?.claims.insert(claim.key)
            commit([.claim(held)], &state)
            return .granted(epoch: held.epoch)
        case .release(let key, let epoch):
            guard state.table[key]?.epoch == epoch else { return .released }
            state.table.remove(key)
            if let lease = state.leaseOfClaim.removeValue(forKey: key) { state.leases[lease]?.claims.remove(key) }
            commit([.claimGone(key)], &state)
            return .released
        case .server(let record, let lease):
            guard state.leases[lease] != nil else { return .leaseEnded }
            if let old = state.servers[record.id] { state.leases[old.lease]?.servers.remove(record.id) }
            state.servers[record.id] = (record, lease)
            state.leases[lease]?.servers.insert(record.id)
            commit([.server(record)], &state)
            return .granted(epoch: state.revision)
        case .withdraw(let id):
            guard let old = state.servers.removeValue(forKey: id) else { return .released }
            state.leases[old.lease]?.servers.remove(id)
            commit([.serverGone(id)], &state)
            return .released
        }
    }

    /// Counts a change and reports it. Changes without an entry are none.
    private static func commit(_ changes: [StoreEntryChange], _ state: inout State) {
        guard !changes.isEmpty else { return }
        state.revision = state.revision.next
        state.history.append((state.revision, changes))
        for (number, watch) in state.watches where !report(changes, at: state.revision, to: watch) {
            state.watches[number] = nil
        }
    }

    /// - Returns: false if the watch has ended. Its task cannot report that by itself: the lock would be taken while the task's
    ///   own is held.
    private static func report(_ changes: [StoreEntryChange], at revision: Revision, to watch: Watch) -> Bool {
        let own = changes.filter { $0.belongs(to: watch.scope) }
        guard !own.isEmpty else { return true }
        if case .terminated = watch.continuation.yield(.changed(own, at: revision)) { return false }
        return true
    }
}

extension StoreEntryChange {
    /// Whether a watch of a scope reports the change.
    func belongs(to scope: StoreScope) -> Bool {
        let place: ClaimPlace
        switch self {
        case .server, .serverGone: return scope == .servers
        case .claim(let held): place = held.claim.key.place
        case .claimGone(let key): place = key.place
        }
        return switch scope {
        case .servers: false
        case .ports: place.isPort
        case .place(let own): place == own
        }
    }
}
