import Cluster
import EtcdStore
import Foundation
import NIOCore
import TestSupport
import Testing

/// One real member of etcd.
@Suite(
    "One member of etcd",
    .timeLimit(.minutes(2)),
    .enabled(if: Program.etcd.path != nil || TestRun.isCI, "not installed: etcd (apt-get install etcd-server)")
)
struct EtcdStoreTests {
    private static func run(
        probe interval: TimeAmount = .seconds(5),
        log: Mailbox<String> = Mailbox(),
        _ body: (EtcdCluster, EtcdClaimStore) async throws -> Void
    ) async throws {
        try await Scenario.run { scenario in
            let cluster = try await EtcdCluster.start(members: 1, in: scenario)
            var configuration = try EtcdConfiguration.testing(cluster.urls)
            (configuration.probeInterval, configuration.probeTimeout) = (interval, .seconds(10))
            let store = try EtcdClaimStore(configuration, logger: .memory(log))
            try await body(cluster, store)
            await store.close()
        }
    }

    @Test("entries that cannot be read are left out, and each is in the log once")
    func unreadable() async throws {
        let log = Mailbox<String>()
        try await Self.run(log: log) { cluster, store in
            let rig = StoreRig(store: store) {}
            let lease = try await store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            let member = "00000000000000000000000000000000"
            let session = String(repeating: "ab", count: 65)
            let odd = [
                ("servers/zz", "{}"), ("servers/00000001", "no JSON"), ("servers/00000002", #"{"peer_url":1}"#),
                ("ports/\u{1B}[1m", ""), ("ports/tcp:81/c-61//\(member)", "{}"),
                (
                    "ports/tcp:82/c-61//\(member)",
                    #"{"home":"7","session":"00","tunnel":1,"client":"a","since":1}"#
                ),
                (
                    "ports/tcp:83/c-61//\(member)",
                    #"{"home":"00000007","session":"00","tunnel":65536,"client":"a","since":1}"#
                ),
                (
                    "ports/tcp:84/c-61//\(member)",
                    #"{"home":"00000007","session":"\#(session)","tunnel":1,"client":"a","since":1}"#
                ),
                (
                    "ports/tcp:85/c-61//\(member)",
                    #"{"home":"00000007","session":"00","tunnel":1,"client":"a","since":1e99}"#
                ),
                ("ports/tcp:86/c-61//\(member)", String(repeating: "[", count: 10_000)),
            ]
            let watch = WatchLog(store, .ports, from: try await store.read(.ports).revision.next)
            for (key, value) in odd { try cluster.put("culvert/\(key)", value) }
            for _ in 0..<2 {
                #expect(try await store.read(.ports).claims == [held])
                #expect(try await store.read(.servers).servers == [])
            }
            // They hold their places nevertheless.
            let answer = try await rig.apply(.claim(TestClient("b").claim(.tcp(81)), lease: lease, over: nil))
            #expect(answer == .held([]))
            let last = try await rig.granted(TestClient("a").claim(.tcp(90)), lease)
            #expect(try await watch.next() == [.claim(last)])
            let lines = log.all
            #expect(lines.count == odd.count, "\(lines)")
            #expect(
                lines.allSatisfy { $0.hasPrefix("warning an entry of etcd cannot be read and is ignored key=culvert/") }
            )
            #expect(lines.contains { $0.hasSuffix("key=culvert/ports/\\u{1B}[1m") })
            await watch.cancel()
        }
    }

    /// 1,200 claims, or 6,000 with the full sizes. Each has 2 KB, so that etcd cuts the watch's first message into fragments.
    @Test("many claims are read in pages, and a watch has all of them from fragments")
    func pages() async throws {
        try await Self.run { _, store in
            let start = try await store.read(.ports).revision.next
            var expected: [HeldClaim] = []
            for batch in 0..<(TestRun.isHeavy ? 100 : 20) {
                let lease = try await store.grantLease(seconds: 60)
                let claims = (0..<StoreLimits.changes).map {
                    var claim = TestClient("a").claim(.tcp(UInt16(10_000 + batch * StoreLimits.changes + $0)))
                    claim.client = String(repeating: "x", count: 2_000)
                    return claim
                }
                let answers = try await store.apply(claims.map { .claim($0, lease: lease, over: nil) })
                for (claim, answer) in zip(claims, answers) {
                    guard case .granted(let epoch) = answer else { throw ScenarioFailure(description: "\(answer)") }
                    expected.append(HeldClaim(claim, epoch: epoch))
                }
            }
            let found = try await store.read(.ports)
            #expect(found.claims == expected)
            #expect(found.revision == expected.last?.epoch)
            let watch = WatchLog(store, .ports, from: start)
            #expect(try await watch.next(expected.count) == expected.map { .claim($0) })
            await watch.cancel()
        }
    }

    /// The time of a real lease, long enough for a claim on a busy machine.
    @Test("a lease that is not kept alive ends, and its entries are removed")
    func expiry() async throws {
        try await Self.run { _, store in
            let rig = StoreRig(store: store) {}
            let lease = try await store.grantLease(seconds: 5)
            let held = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            let watch = WatchLog(store, .ports, from: held.epoch.next)
            #expect(try await watch.next() == [.claimGone(held.claim.key)])
            #expect(try await !store.keepAlive(lease))
            #expect(try await rig.apply(.claim(held.claim, lease: lease, over: nil)) == .leaseEnded)
            await watch.cancel()
        }
    }

    @Test("watches without changes report progress, and share one probe")
    func probes() async throws {
        try await Self.run(probe: .milliseconds(200)) { _, store in
            let rig = StoreRig(store: store) {}
            let lease = try await store.grantLease(seconds: 60)
            let start = try await rig.granted(TestClient("a").claim(.tcp(80)), lease).epoch.next
            let scopes: [StoreScope] = [.ports, .ports, .ports, .servers, .place(.name("app"))]
            let began = ContinuousClock.now
            let watches = scopes.map { WatchLog(store, $0, from: start) }
            for watch in watches {
                try await eventually("five probes", found: { "\(watch.progress.all)" }) {
                    watch.progress.all.count >= 5
                }
                let revisions = watch.progress.all
                #expect(revisions == Set(revisions).sorted())
                #expect(watch.changes.all.isEmpty && watch.ends.all.isEmpty)
            }
            // Three watches share them: there is at most one in half an interval.
            let most = Int((ContinuousClock.now - began) / .milliseconds(100)) + 1
            #expect(watches[0].progress.all.count <= most)
            #expect(watches[0].progress.all.prefix(5) == watches[1].progress.all.prefix(5))
            // The probes are no entries.
            #expect(try await store.read(.ports).claims.count == 1)
            #expect(try await store.read(.servers).servers.isEmpty)
            #expect(try await store.read(.place(.name("app"))).claims.isEmpty)
            try await rig.granted(TestClient("a").claim(.name("app")), lease)
            #expect(try await watches[4].next().count == 1)
            for watch in watches { await watch.cancel() }
        }
    }

    @Test("a watch ends if its member brings its probe no more")
    func silentWatch() async throws {
        try await Scenario.run { scenario in
            let cluster = try await EtcdCluster.start(members: 1, in: scenario)
            // Passes the beginning of a watch on, and nothing after it.
            let mute = try ScriptedGateway { exchange in
                guard exchange.path == "/v3/watch" else {
                    try exchange.answer(try cluster.post(exchange.path, exchange.body))
                    return true
                }
                let line = #"{"result":{"header":{"revision":"1"},"created":true}}"# + "\n"
                try exchange.socket.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n"
                )
                try exchange.waitForEnd()
                return false
            }
            var configuration = try EtcdConfiguration.testing([mute.url])
            (configuration.probeInterval, configuration.probeTimeout) = (.milliseconds(100), .milliseconds(100))
            let store = try EtcdClaimStore(configuration, logger: .silent)
            let watch = WatchLog(store, .ports, from: Revision(1))
            let end = try await watch.ends.next("the watch's end")
            #expect(end == .unreachable("\(mute.url): the watch has brought nothing for 0.2 s"))
            #expect(watch.progress.all.isEmpty)
            await store.close()
        }
    }

    @Test("closed stores and cancelled watches leave no connection at the member")
    func noLeak() async throws {
        try await Self.run { cluster, store in
            let process = try cluster.process(0)
            _ = try await store.read(.ports)
            let before = try process.descriptorCount
            for _ in 0..<3 {
                let other = try EtcdClaimStore(.testing(cluster.urls), logger: .silent)
                let watches = [StoreScope.ports, .servers, .place(.tcp(1))].map {
                    WatchLog(other, $0, from: Revision(1))
                }
                let rig = StoreRig(store: other) {}
                let lease = try await other.grantLease(seconds: 60)
                try await rig.granted(TestClient("a").claim(.tcp(1)), lease)
                _ = try await watches[0].next()
                _ = try await watches[2].next()
                await watches[0].cancel()
                try await other.revoke(lease)
                await other.close()
                for watch in watches { _ = try await watch.ends.next("the end of a watch") }
            }
            try await eventually("the connections are closed", found: { "\((try? process.descriptorCount) ?? 0)" }) {
                try process.descriptorCount <= before
            }
        }
    }
}
