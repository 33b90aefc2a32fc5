import Cluster
import TestSupport
import Testing

/// Rules of watches that each store keeps.
@Suite("Watches of each store", .timeLimit(.minutes(2)))
struct WatchConformanceTests {
    @Test(
        "a watch reports earlier and later changes from its revision on, in order and once",
        arguments: StoreKind.installed
    )
    func order(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let before = try await rig.granted(TestClient("z").claim(.tcp(999)), lease)
            var expected: [StoreEntryChange] = []
            var watch: WatchLog?
            for round in 0..<10 {
                if round == 5 { watch = WatchLog(rig.store, .ports, from: before.epoch.next) }
                let place = ClaimPlace.tcp(UInt16(1_000 + round))
                let held = try await rig.granted(TestClient("a").claim(place), lease)
                let taken = try await rig.granted(held.claim, lease, over: held.epoch)
                _ = try await rig.apply(.release(held.claim.key, epoch: taken.epoch))
                expected += [.claim(held), .claim(taken), .claimGone(held.claim.key)]
            }
            let log = try #require(watch)
            var (found, revisions): ([StoreEntryChange], [Revision]) = ([], [])
            for _ in expected {
                let (change, revision) = try await log.changes.next("change \(found.count + 1)")
                found.append(change)
                revisions.append(revision)
            }
            #expect(found == expected)
            #expect(revisions == revisions.sorted())
            #expect(Set(revisions).count == revisions.count)
            // A further change comes alone: none came twice.
            let last = try await rig.granted(TestClient("a").claim(.tcp(2_000)), lease)
            #expect(try await log.next() == [.claim(last)])
            await log.cancel()
        }
    }

    @Test("a watch reports its scope alone", arguments: StoreKind.installed)
    func scope(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let record = ServerRecord(ServerID(1), peerURL: "wss://a", version: "1", since: 1)
            let scopes: [StoreScope] = [.servers, .ports, .place(.name("app")), .place(.tcp(80))]
            let start = try await rig.store.read(.servers).revision.next
            let watches = scopes.map { WatchLog(rig.store, $0, from: start) }
            _ = try await rig.apply(.server(record, lease: lease))
            let tcp = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            let udp = try await rig.granted(TestClient("a").claim(.udp(80)), lease)
            let other = try await rig.granted(TestClient("a").claim(.name("app0")), lease)
            let name = try await rig.granted(TestClient("a").claim(.name("app")), lease)
            try await rig.store.revoke(lease)
            let keys = [tcp, udp, name].map(\.claim.key)
            #expect(other.claim.key.place == .name("app0"))
            #expect(try await watches[0].next(2) == [.server(record), .serverGone(ServerID(1))])
            #expect(try await watches[1].next(2) == [.claim(tcp), .claim(udp)])
            #expect(Set(try await watches[1].next(2)) == [.claimGone(keys[0]), .claimGone(keys[1])])
            #expect(try await watches[2].next(2) == [.claim(name), .claimGone(keys[2])])
            #expect(try await watches[3].next(2) == [.claim(tcp), .claimGone(keys[0])])
            for watch in watches {
                #expect(watch.changes.all.isEmpty)
                await watch.cancel()
            }
        }
    }

    @Test("a watch from a snapshot's next revision has what the snapshot has not", arguments: StoreKind.installed)
    func afterRead(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            for port: UInt16 in 1...5 { try await rig.granted(TestClient("a").claim(.tcp(port)), lease) }
            let snapshot = try await rig.store.read(.ports)
            #expect(snapshot.claims.count == 5)
            let log = WatchLog(rig.store, .ports, from: snapshot.revision.next)
            let held = try await rig.granted(TestClient("a").claim(.tcp(6)), lease)
            #expect(try await log.next() == [.claim(held)])
            await log.cancel()
        }
    }

    @Test("all changes of a batch are reported", arguments: StoreKind.installed)
    func batch(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let log = WatchLog(rig.store, .ports, from: try await rig.store.read(.ports).revision.next)
            let claims = (0..<StoreLimits.changes).map { TestClient("a").claim(.tcp(UInt16(1_000 + $0))) }
            let answers = try await rig.store.apply(claims.map { .claim($0, lease: lease, over: nil) })
            let expected = zip(claims, answers).map { claim, answer -> StoreEntryChange? in
                guard case .granted(let epoch) = answer else { return nil }
                return .claim(HeldClaim(claim, epoch: epoch))
            }
            #expect(try await log.next(expected.count) == expected)
            await log.cancel()
        }
    }

    @Test("a revision that was compacted is refused, and a later one is not", arguments: StoreKind.installed)
    func compaction(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(.tcp(1)), lease)
            let living = WatchLog(rig.store, .ports, from: held.epoch)
            #expect(try await living.next() == [.claim(held)])
            let second = try await rig.granted(TestClient("a").claim(.tcp(2)), lease)
            #expect(try await living.next() == [.claim(second)])
            try rig.compact()
            let old = WatchLog(rig.store, .ports, from: held.epoch)
            #expect(try await old.ends.next("the end of the old watch") == .compacted)
            let new = WatchLog(rig.store, .ports, from: try await rig.store.read(.ports).revision.next)
            let third = try await rig.granted(TestClient("a").claim(.tcp(3)), lease)
            #expect(try await living.next() == [.claim(third)])
            #expect(try await new.next() == [.claim(third)])
            await living.cancel()
            await new.cancel()
        }
    }
}
