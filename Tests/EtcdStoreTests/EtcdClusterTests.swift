import Cluster
import EtcdStore
import NIOCore
import TestSupport
import Testing

/// Three members of etcd, and what happens if some fail.
@Suite(
    "Three members of etcd",
    .serialized,
    .timeLimit(.minutes(3)),
    .enabled(if: Program.etcd.path != nil || TestRun.isCI, "not installed: etcd (apt-get install etcd-server)")
)
struct EtcdClusterTests {
    private static func run(
        timeout: TimeAmount = .seconds(10),
        _ body: (EtcdCluster, EtcdClaimStore) async throws -> Void
    ) async throws {
        try await Scenario.run { scenario in
            let cluster = try await EtcdCluster.start(in: scenario)
            var configuration = try EtcdConfiguration.testing(cluster.urls, timeout: timeout)
            (configuration.probeInterval, configuration.probeTimeout) = (.milliseconds(500), .seconds(1))
            let store = try EtcdClaimStore(configuration, logger: .silent)
            try await body(cluster, store)
            await store.close()
        }
    }

    /// Repeats a request until it is answered, as a server does.
    private static func persistently<Value: Sendable>(
        _ what: String,
        _ request: () async throws(StoreFailure) -> Value
    ) async throws -> Value {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do {
                return try await request()
            } catch {
                guard case .unreachable = error, ContinuousClock.now < deadline else {
                    throw ScenarioFailure(description: "\(what): \(error)")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    @Test("after the leader's death requests succeed, claims are there, and a new watch continues")
    func leaderDies() async throws {
        try await Self.run { cluster, store in
            let rig = StoreRig(store: store) {}
            let lease = try await store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            let leader = try await cluster.leader()
            let watch = WatchLog(store, .ports, from: held.epoch)
            #expect(try await watch.next() == [.claim(held)])
            try await cluster.kill(leader)
            #expect(
                try await Self.persistently("keep alive") { () throws(StoreFailure) in try await store.keepAlive(lease)
                }
            )
            let claim = TestClient("a").claim(.tcp(81))
            let answers = try await Self.persistently("a claim") { () throws(StoreFailure) in
                try await store.apply([.claim(claim, lease: lease, over: nil)])
            }
            guard case .granted(let epoch)? = answers.first else { throw ScenarioFailure(description: "\(answers)") }
            let all = try await Self.persistently("a read") { () throws(StoreFailure) in try await store.read(.ports) }
            #expect(all.claims == [held, HeldClaim(claim, epoch: epoch)])
            let next = WatchLog(store, .ports, from: held.epoch.next)
            #expect(try await next.next() == [.claim(HeldClaim(claim, epoch: epoch))])
            try await cluster.restart(leader)
            _ = try await cluster.leader()
            await next.cancel()
            await watch.cancel()
        }
    }

    @Test("members that are restarted one after the other lose no claim")
    func rollingRestart() async throws {
        try await Self.run { cluster, store in
            let lease = try await store.grantLease(seconds: 600)
            var expected: [ClaimPlace] = []
            for index in 0..<3 {
                let place = ClaimPlace.tcp(UInt16(80 + index))
                try await cluster.stop(index)
                let answers = try await Self.persistently("a claim") { () throws(StoreFailure) in
                    try await store.apply([.claim(TestClient("a").claim(place), lease: lease, over: nil)])
                }
                guard case .granted? = answers.first else { throw ScenarioFailure(description: "\(answers)") }
                expected.append(place)
                try await cluster.restart(index)
                _ = try await cluster.leader()
            }
            let all = try await Self.persistently("a read") { () throws(StoreFailure) in try await store.read(.ports) }
            #expect(all.claims.map(\.claim.key.place) == expected)
        }
    }

    @Test("a member without a quorum ends its watches and refuses requests, until the quorum is back")
    func noQuorum() async throws {
        try await Self.run { cluster, store in
            let lease = try await store.grantLease(seconds: 600)
            let rig = StoreRig(store: store) {}
            let held = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            var configuration = try EtcdConfiguration.testing([cluster.urls[0]])
            configuration.probeInterval = .seconds(600)
            let single = try EtcdClaimStore(configuration, logger: .silent)
            let watch = WatchLog(single, .ports, from: held.epoch)
            #expect(try await watch.next() == [.claim(held)])
            try await cluster.kill(1)
            try await cluster.kill(2)
            // The probe is off: the member ends the watch by itself, since it has no leader.
            guard case .unreachable(let text)? = try await watch.ends.next("the watch's end") else {
                throw ScenarioFailure(description: "the watch has another end")
            }
            #expect(text.hasPrefix(cluster.urls[0]))
            for other in [single, store] {
                do throws(StoreFailure) {
                    _ = try await other.read(.ports)
                    Issue.record("a read without a quorum")
                } catch {
                    if case .unreachable = error {} else { throw error }
                }
            }
            try await cluster.restart(1)
            let claims = try await Self.persistently("a read") { () throws(StoreFailure) in
                try await single.read(.ports)
            }
            #expect(claims.claims == [held])
            await single.close()
        }
    }

    @Test("a paused member loses its watch and its requests to the others")
    func paused() async throws {
        try await Self.run(timeout: .seconds(6)) { cluster, store in
            let rig = StoreRig(store: store) {}
            let lease = try await store.grantLease(seconds: 600)
            let held = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            let watch = WatchLog(store, .ports, from: held.epoch)
            #expect(try await watch.next() == [.claim(held)])
            // The first endpoint has both.
            try cluster.pause(0)
            guard case .unreachable? = try await watch.ends.next("the watch's end") else {
                throw ScenarioFailure(description: "the watch has another end")
            }
            let next = try await Self.persistently("a claim") { () throws(StoreFailure) in
                try await store.apply([.claim(TestClient("a").claim(.tcp(81)), lease: lease, over: nil)])
            }
            guard case .granted? = next.first else { throw ScenarioFailure(description: "\(next)") }
            let again = WatchLog(store, .ports, from: held.epoch.next)
            #expect(try await again.next().count == 1)
            try cluster.resume(0)
            await again.cancel()
        }
    }
}
