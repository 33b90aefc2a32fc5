import Cluster
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TunnelCore

/// The store of a cluster in etcd 3.4 or newer, by its JSON gateway (`/v3/...`).
///
/// Places are read on a connection of their own. Visitors cause these reads, and no number of them holds up leases and claims.
package final class EtcdClaimStore: ClaimStore {
    private struct State {
        var watches: [Int: Task<Void, Never>] = [:]
        var lastWatch = 0
        var isClosed = false
    }

    private let configuration: EtcdConfiguration
    private let client: EtcdClient
    /// Reads places.
    private let reader: EtcdClient
    private let entries: EtcdEntries
    private let state = Mutex(State())

    /// Creates a store. It connects with the first request.
    ///
    /// - Throws: if there is no endpoint, or if the certificate cannot be used.
    package init(
        _ configuration: EtcdConfiguration,
        logger: Logger,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        names: HostNames = .shared
    ) throws(EtcdConfigurationError) {
        guard !configuration.endpoints.isEmpty else {
            throw EtcdConfigurationError(description: "etcd has no endpoint")
        }
        self.configuration = configuration
        let transport = try EtcdTransport(configuration, group: group, names: names)
        client = EtcdClient(configuration, transport)
        reader = EtcdClient(configuration, transport)
        entries = EtcdEntries(EtcdKeys(prefix: configuration.prefix), logger: logger)
    }

    deinit {
        Task { [client, reader] in
            await client.close()
            await reader.close()
        }
    }

    /// Ends all connections and watches. Further requests fail.
    package func close() async {
        let watches = state.withLock { state in
            state.isClosed = true
            return Array(state.watches.values)
        }
        for watch in watches { watch.cancel() }
        await client.close()
        await reader.close()
        for watch in watches { await watch.value }
    }

    // MARK: Leases

    package func grantLease(seconds: Int) async throws(StoreFailure) -> LeaseID {
        try await client.grantLease(seconds: seconds)
    }

    package func keepAlive(_ lease: LeaseID) async throws(StoreFailure) -> Bool {
        try await client.keepAlive(lease)
    }

    package func revoke(_ lease: LeaseID) async throws(StoreFailure) {
        try await client.revoke(lease)
    }

    // MARK: Changes

    package func apply(_ changes: [StoreChange]) async throws(StoreFailure) -> [StoreAnswer] {
        precondition(changes.count <= StoreLimits.changes, "\(changes.count) changes in one request")
        // For etcd, the number 0 is no lease.
        var ended = Set(changes.compactMap(\.lease).filter { $0.number <= 0 })
        // A lease that ends during a request refuses all changes. Each round finds at least one, except by a race.
        for _ in 0...Self.leaseRounds {
            let possible = changes.filter { $0.lease.map { !ended.contains($0) } ?? true }
            if let answers = try await attempt(possible) {
                var rest = answers[...]
                return changes.map { change in
                    if let lease = change.lease, ended.contains(lease) { return .leaseEnded }
                    return rest.popFirst() ?? .leaseEnded
                }
            }
            for lease in Set(possible.compactMap(\.lease)) where try await client.hasEnded(lease) {
                ended.insert(lease)
            }
        }
        throw .malformed("etcd refuses changes for leases that it has")
    }

    /// Rounds in which the leases that have ended are looked for.
    private static let leaseRounds = 3

    /// Makes changes; nil if the lease of one of them has ended, and nothing was changed.
    private func attempt(_ changes: [StoreChange]) async throws(StoreFailure) -> [StoreAnswer]? {
        guard !changes.isEmpty else { return [] }
        let transaction = EtcdTransaction(changes, entries)
        let reply: EtcdReply
        do throws(RequestFailure) {
            reply = try await client.call(EtcdRequest("/v3/kv/txn", transaction.request))
        } catch {
            if case .rejected(let rejection, _) = error, rejection.kind == .leaseNotFound { return nil }
            throw error.failure
        }
        let answer = try reply.decoded(TransactionAnswer.self)
        guard let answers = transaction.answers(answer, isRepeated: reply.isRepeated) else {
            throw reply.malformed("the results of another transaction")
        }
        return answers
    }

    // MARK: Reads

    package func read(_ scope: StoreScope) async throws(StoreFailure) -> StoreSnapshot {
        for _ in 0..<Self.readAttempts {
            if let snapshot = try await attemptRead(scope) { return snapshot }
        }
        throw .compacted
    }

    /// Attempts of a read whose revision is compacted between two pages.
    private static let readAttempts = 3

    /// Reads a scope page by page, all at the revision of the first page; nil if it was compacted meanwhile.
    private func attemptRead(_ scope: StoreScope) async throws(StoreFailure) -> StoreSnapshot? {
        let client = if case .place = scope { reader } else { client }
        var range = entries.keys.range(of: scope)
        var snapshot: StoreSnapshot?
        var (count, bytes) = (0, 0)
        while true {
            let reply: EtcdReply
            do throws(RequestFailure) {
                let page = RangeRequest(range, limit: EtcdLimits.page, revision: snapshot?.revision)
                reply = try await client.call(EtcdRequest("/v3/kv/range", page))
            } catch {
                if case .rejected(let rejection, _) = error, rejection.kind == .compacted { return nil }
                throw error.failure
            }
            let answer = try reply.decoded(RangeAnswer.self)
            guard let number = answer.header?.revision?.value, number > 0 else {
                throw reply.malformed("a page without a revision")
            }
            var present = snapshot ?? StoreSnapshot(revision: Revision(number))
            let keyValues = answer.keyValues ?? []
            count += keyValues.count
            bytes += reply.body.readableBytes
            guard count <= EtcdLimits.entries, bytes <= EtcdLimits.read else {
                throw reply.malformed("more than \(EtcdLimits.entries) entries, or too long ones")
            }
            for keyValue in keyValues {
                switch entries.entry(keyValue) {
                case .server(let record)?: present.servers.append(record)
                case .claim(let held, _)?: present.claims.append(held)
                case nil: break
                }
            }
            guard answer.more == true else { return present }
            guard let last = keyValues.last?.key?.value, !last.lexicographicallyPrecedes(range.start) else {
                throw reply.malformed("a page that does not lead on")
            }
            snapshot = present
            range = KeyRange(last + [0], range.end)
        }
    }

    // MARK: Watches

    package func watch(_ scope: StoreScope, from revision: Revision) -> AsyncThrowingStream<StoreEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream<StoreEvent, any Error>.makeStream(
            bufferingPolicy: .bufferingOldest(EtcdLimits.waitingEvents)
        )
        let watch = EtcdWatch(scope, from: revision, client, entries, configuration)
        let number: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.lastWatch += 1
            let number = state.lastWatch
            state.watches[number] = Task { [weak self] in
                do throws(StoreFailure) {
                    try await watch.run { event in
                        if case .dropped = continuation.yield(event) { false } else { true }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
                _ = self?.state.withLock { $0.watches.removeValue(forKey: number) }
            }
            return number
        }
        guard let number else {
            continuation.finish(throwing: StoreFailure.unreachable("the store is closed"))
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.watches[number] }?.cancel()
        }
        return stream
    }
}
