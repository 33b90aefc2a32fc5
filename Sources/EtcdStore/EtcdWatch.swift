import Cluster
import NIOCore
import Synchronization
import TunnelCore

/// One watch of a scope.
///
/// A connection may stay open though its member brings nothing any more. etcd shows only every ten minutes that a watch
/// lives, so the watch is probed: after a time without an event, a key behind the scope's range is written. The watch must
/// bring that key's event. The probe goes through the store's other connection, so a member that is cut off from the cluster
/// is found out, too.
///
/// All watchers of a scope share one probe, and it is part of their range. So its event proves that the watch has brought
/// everything before it. A watcher waits for half to a whole interval, at random. It writes only if the probe is older than
/// what its watch has brought.
///
/// Costs for 1,000 servers that watch servers and ports, if nothing else happens: each scope has one write every 2.5 s, and
/// the write has 1,000 events of 300 bytes. Watchers whose random times are close to the first one's send a condition that
/// fails, about ten for each write. Probes of the watchers' own would cost 400 writes a second, and as many events.
struct EtcdWatch: Sendable {
    /// What the watch has brought last.
    private final class Sight: Sendable {
        private let state: Mutex<(revision: Revision, time: ContinuousClock.Instant)>

        init(_ revision: Revision) {
            state = Mutex((revision, .now))
        }

        /// Everything up to the revision was seen, the last of it at the time.
        var last: (revision: Revision, time: ContinuousClock.Instant) { state.withLock { $0 } }

        func reach(_ revision: Revision) {
            state.withLock { if revision > $0.revision { $0 = (revision, .now) } }
        }
    }

    private let client: EtcdClient
    private let entries: EtcdEntries
    private let scope: StoreScope
    private let start: Revision
    private let configuration: EtcdConfiguration

    init(
        _ scope: StoreScope,
        from start: Revision,
        _ client: EtcdClient,
        _ entries: EtcdEntries,
        _ configuration: EtcdConfiguration
    ) {
        (self.scope, self.start, self.client) = (scope, start, client)
        (self.entries, self.configuration) = (entries, configuration)
    }

    /// Watches until it fails or the task is cancelled.
    ///
    /// - Parameter report: takes an event. Returns false if there is no room for it.
    func run(_ report: @escaping @Sendable (StoreEvent) -> Bool) async throws(StoreFailure) {
        let request = EtcdRequest("/v3/watch", WatchRequest(entries.keys.watchedRange(of: scope), from: start))
        let stream: EtcdStream
        let first: WatchAnswer
        do throws(RequestFailure) {
            (stream, first) = try await client.watch(request)
        } catch {
            throw error.failure
        }
        defer { stream.close() }
        let sight = Sight(Revision(max(start.number, 1) - 1))
        let failure = await withTaskGroup(of: StoreFailure.self) { group in
            group.addTask {
                await withTaskCancellationHandler {
                    await receive(from: stream, first, sight, report)
                } onCancel: {
                    stream.close()
                }
            }
            group.addTask { await probe(stream.endpoint, sight) }
            let failure = await group.next()
            group.cancelAll()
            return failure
        }
        throw failure ?? .unreachable("\(stream.endpoint): the watch has ended")
    }

    /// Reports events until the watch fails.
    private func receive(
        from opened: EtcdStream,
        _ first: WatchAnswer,
        _ sight: Sight,
        _ report: @Sendable (StoreEvent) -> Bool
    ) async -> StoreFailure {
        var (stream, answer) = (opened, first)
        var order = EventOrder(from: start, probe: entries.keys.probe(of: scope), entries)
        while true {
            if answer.compactRevision?.value ?? 0 > 0 { return .compacted }
            if answer.canceled == true {
                return Rejection(answer.cancellation, hiding: []).failure(of: stream.endpoint)
            }
            do throws(EventOrder.Flaw) {
                for event in try order.receive(answer) where !report(event) {
                    return .unreachable("\(stream.endpoint): the watch brings more than is read")
                }
            } catch {
                return .malformed("\(stream.endpoint) answered with events that no store has")
            }
            sight.reach(order.reported)
            do throws(ConnectionFailure) {
                switch try await stream.next(WatchAnswer.self) {
                case .success(let next): answer = next
                case .failure(let reason): return Rejection(reason, hiding: []).failure(of: stream.endpoint)
                }
            } catch {
                return error.failure(of: stream.endpoint)
            }
        }
    }

    /// Writes the probe from time to time, until its event does not come.
    private func probe(_ endpoint: EtcdEndpoint, _ sight: Sight) async -> StoreFailure {
        let interval = Duration(configuration.probeInterval)
        while true {
            // Random, so that few of many watchers write at the same time.
            let pause = interval * Double.random(in: 0.5...1)
            let last = sight.last
            do {
                try await Task.sleep(until: last.time + pause, clock: .continuous)
                guard sight.last.revision == last.revision else { continue }
                try await write(since: last.revision)
                let end = ContinuousClock.now + Duration(configuration.probeTimeout)
                while sight.last.revision == last.revision, .now < end {
                    try await Task.sleep(until: min(.now + interval / 2, end), clock: .continuous)
                }
            } catch let failure as StoreFailure {
                return failure
            } catch {
                return .unreachable("\(endpoint): the watch was cancelled")
            }
            guard sight.last.revision > last.revision else {
                let time = (Duration(configuration.probeInterval) + Duration(configuration.probeTimeout)).inShort
                return .unreachable("\(endpoint): the watch has brought nothing for \(time)")
            }
        }
    }

    /// Writes the probe, unless one was written since a revision and its event is still to come.
    ///
    /// - Throws: also ``StoreFailure/compacted`` if the store has not reached the revision: it was restored from a backup.
    private func write(since revision: Revision) async throws(StoreFailure) {
        let key = entries.keys.probe(of: scope)
        // Probes of places would fill the store.
        let lease = scope.isPlace ? try await client.grantLease(seconds: EtcdLimits.probeLease) : nil
        let request = TransactionRequest(
            compare: [.isWritten(key, before: revision.next)],
            success: [
                .init(
                    put: PutRequest(
                        key: EtcdBytes(key),
                        value: EtcdBytes([]),
                        lease: lease.map { EtcdNumber($0.number) }
                    )
                )
            ]
        )
        let reply = try await client.ask("/v3/kv/txn", request)
        guard let present = try reply.decoded(TransactionAnswer.self).header?.revision?.value else {
            throw reply.malformed("a transaction without a revision")
        }
        if present < revision.number { throw .compacted }
    }
}

extension StoreScope {
    fileprivate var isPlace: Bool {
        if case .place = self { true } else { false }
    }
}
