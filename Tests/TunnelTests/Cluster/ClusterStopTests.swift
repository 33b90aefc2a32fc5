import Cluster
import Metrics
import Mux
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import TunnelCore
@testable import TunnelServer

/// A server that leaves its cluster.
@Suite("Leaving a cluster", .timeLimit(.minutes(5)))
struct ClusterStopTests {
    /// A store in memory that answers no revocation before so many were asked for.
    private final class SlowStore: ClaimStore {
        let memory = MemoryClaimStore()
        let revoked = Atomic(0)
        private let needed: Int

        init(needing count: Int) { needed = count }

        func grantLease(seconds: Int) async throws(StoreFailure) -> LeaseID {
            try await memory.grantLease(seconds: seconds)
        }

        func keepAlive(_ lease: LeaseID) async throws(StoreFailure) -> Bool { try await memory.keepAlive(lease) }

        func revoke(_ lease: LeaseID) async throws(StoreFailure) {
            revoked.add(1, ordering: .relaxed)
            while revoked.load(ordering: .relaxed) < needed, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(1))
            }
        }

        func apply(_ changes: [StoreChange]) async throws(StoreFailure) -> [StoreAnswer] {
            try await memory.apply(changes)
        }

        func read(_ scope: StoreScope) async throws(StoreFailure) -> StoreSnapshot { try await memory.read(scope) }

        func watch(_ scope: StoreScope, from revision: Revision) -> AsyncThrowingStream<StoreEvent, any Error> {
            memory.watch(scope, from: revision)
        }
    }

    private struct NoDialler: PeerDialler {
        struct Connection: PeerConnection { func close() {} }

        func connect(to url: String, _ owner: NIOLoopBound<any PeerConnectionOwner>) -> any PeerConnection {
            Connection()
        }
    }

    /// A server with as many claims, of ports.
    private func service(_ store: SlowStore, claims: Int) async throws -> ClusterService {
        let loop = NIOSingletons.posixEventLoopGroup.next()
        var setup = ClusterSetup(
            store: store,
            dialler: NoDialler(),
            listen: .tcp(host: "127.0.0.1", port: 0),
            clients: []
        )
        // A machine that runs many tests at a time may take longer.
        setup.limits.claimTimeout = .seconds(600)
        let logger = CollectedLog().logger
        let (limits, totals) = (ServerConfiguration().serverLimits, TrafficTotals())
        let dropped = totals.metrics.droppedDatagrams
        let ports = RemotePorts(
            [],
            linkLoop: loop,
            limits: { PlaceLimits(connections: limits.ingress, flows: limits.flows, dropped: dropped) },
            logger: logger
        )
        let service = ClusterService(
            ServerRecord(ServerID(1), peerURL: "", version: "1", since: 0),
            setup,
            ports: ports,
            ownMember: { _ in nil },
            totals: totals,
            metrics: ClusterMetrics(factory: NOOPMetricsHandler.instance),
            on: loop,
            logger: logger
        )
        service.start(at: "ws://127.0.0.1:1/peer")
        let granted = Atomic(0)
        let holder = FakePortHolder("alice", client: 1, on: loop)
        for number in 1...claims {
            let port = UInt16(truncatingIfNeeded: number)
            let request = BindRequest(tunnel: port, address: "", port: port)
            let wish = try #require(ClaimWish(.port(port), request, of: holder))
            service.claim(wish) { _ in
            } completion: { result in
                if case .success = result { granted.add(1, ordering: .relaxed) }
            }
        }
        try await eventually("all claims are granted", within: .seconds(120)) {
            granted.load(ordering: .relaxed) == claims
        }
        return service
    }

    @Test("The leases of a server are given back together")
    func together() async throws {
        let store = SlowStore(needing: 2)
        let service = try await service(store, claims: StoreLimits.entriesOfLease + 1)
        await service.stop()
        #expect(store.revoked.load(ordering: .relaxed) == 2)
    }

    @Test("A store that does not answer holds a stop up for 2 s, and not longer")
    func silent() async throws {
        let store = SlowStore(needing: .max)
        let service = try await service(store, claims: 1)
        await service.stop()
        #expect(store.revoked.load(ordering: .relaxed) == 1)
    }
}
