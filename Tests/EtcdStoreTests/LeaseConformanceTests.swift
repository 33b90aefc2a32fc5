import Cluster
import TestSupport
import Testing

/// Rules of leases, batches and servers that each store keeps.
@Suite("Leases and batches of each store", .timeLimit(.minutes(2)))
struct LeaseConformanceTests {
    private static func record(_ number: UInt32, isDraining: Bool = false) -> ServerRecord {
        ServerRecord(
            ServerID(number),
            peerURL: "wss://10.0.0.\(number):7443/peer",
            isDraining: isDraining,
            version: "0.1.0",
            since: 1_790_000_000
        )
    }

    @Test("a lease is alive until it is revoked, and then it is not", arguments: StoreKind.installed)
    func life(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            #expect(try await rig.store.keepAlive(lease))
            #expect(try await rig.store.keepAlive(lease))
            try await rig.store.revoke(lease)
            #expect(try await !rig.store.keepAlive(lease))
            try await rig.store.revoke(lease)
            #expect(try await !rig.store.keepAlive(LeaseID(123_456)))
        }
    }

    @Test("changes of a lease that has ended are answered so, and the others are made", arguments: StoreKind.installed)
    func ended(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let (lease, gone) = (
                try await rig.store.grantLease(seconds: 60), try await rig.store.grantLease(seconds: 60)
            )
            let old = try await rig.granted(TestClient("a").claim(.tcp(1_000)), lease)
            try await rig.store.revoke(gone)
            let answers = try await rig.store.apply([
                .claim(TestClient("a").claim(.tcp(1_001)), lease: gone, over: nil),
                .claim(TestClient("a").claim(.tcp(1_002)), lease: lease, over: nil),
                .release(old.claim.key, epoch: old.epoch),
                .server(Self.record(1), lease: gone),
                .server(Self.record(2), lease: lease),
                .claim(TestClient("a").claim(.tcp(1_003)), lease: LeaseID(999), over: nil),
            ])
            try #require(answers.count == 6)
            #expect([answers[0], answers[3], answers[5]] == [.leaseEnded, .leaseEnded, .leaseEnded])
            #expect(answers[2] == .released)
            guard case .granted = answers[1], case .granted = answers[4] else {
                throw ScenarioFailure(description: "\(answers)")
            }
            #expect(try await rig.store.read(.ports).claims.map(\.claim.key.place) == [.tcp(1_002)])
            #expect(try await rig.store.read(.servers).servers == [Self.record(2)])
            for lease in [gone, LeaseID(0), LeaseID(-1)] {
                #expect(try await rig.store.apply([.server(Self.record(1), lease: lease)]) == [.leaseEnded])
            }
        }
    }

    @Test("a revoked lease takes its entries with it, and no other", arguments: StoreKind.installed)
    func revoke(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let (lease, other) = (
                try await rig.store.grantLease(seconds: 60), try await rig.store.grantLease(seconds: 60)
            )
            try await rig.granted(TestClient("a").claim(.tcp(1_000)), lease)
            let moved = try await rig.granted(TestClient("a").claim(.tcp(1_001)), lease)
            let kept = try await rig.granted(moved.claim, other, over: moved.epoch)
            _ = try await rig.apply(.server(Self.record(1), lease: lease))
            let start = try await rig.store.read(.ports).revision.next
            let (ports, servers) = (
                WatchLog(rig.store, .ports, from: start), WatchLog(rig.store, .servers, from: start)
            )
            try await rig.store.revoke(lease)
            #expect(try await ports.next() == [.claimGone(TestClient("a").claim(.tcp(1_000)).key)])
            #expect(try await servers.next() == [.serverGone(ServerID(1))])
            #expect(try await rig.store.read(.ports).claims == [kept])
            #expect(try await rig.store.read(.servers).servers == [])
            await ports.cancel()
            await servers.cancel()
        }
    }

    @Test("60 changes in one request have their answers in order", arguments: StoreKind.installed)
    func batch(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let places = (0..<StoreLimits.changes).map { ClaimPlace.tcp(UInt16(2_000 + $0)) }
            // Every third place is taken, by members of a group.
            var taken: [Int: HeldClaim] = [:]
            for index in stride(from: 0, to: places.count, by: 3) {
                taken[index] = try await rig.granted(TestClient("b").claim(places[index], group: "web"), lease)
            }
            let answers = try await rig.store.apply(
                places.enumerated().map { index, place in
                    if index % 3 == 0, index % 2 == 0, let held = taken[index] {
                        return .release(held.claim.key, epoch: held.epoch)
                    }
                    return .claim(TestClient("a").claim(place), lease: lease, over: nil)
                }
            )
            try #require(answers.count == places.count)
            for (index, answer) in answers.enumerated() {
                switch (index % 3, index % 2, answer) {
                case (0, 0, .released): break
                case (0, 1, .held(let holders)): #expect(holders == [taken[index]])
                case (1...2, _, .granted(let epoch)):
                    #expect(try await rig.claims(of: places[index]).map(\.epoch) == [epoch])
                default: Issue.record("answer \(index) is \(answer)")
                }
            }
            #expect(try await rig.store.apply([]) == [])
        }
    }

    @Test("a server's record is written, replaced and withdrawn", arguments: StoreKind.installed)
    func servers(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            for number: UInt32 in [0xFFFF_FFFF, 1, 0xA0] {
                guard case .granted = try await rig.apply(.server(Self.record(number), lease: lease)) else {
                    throw ScenarioFailure(description: "a record is refused")
                }
            }
            _ = try await rig.apply(.server(Self.record(1, isDraining: true), lease: lease))
            let expected = [Self.record(1, isDraining: true), Self.record(0xA0), Self.record(0xFFFF_FFFF)]
            let snapshot = try await rig.store.read(.servers)
            #expect(snapshot.servers == expected)
            #expect(snapshot.claims.isEmpty)
            #expect(try await rig.apply(.withdraw(ServerID(0xA0))) == .released)
            #expect(try await rig.apply(.withdraw(ServerID(0xA0))) == .released)
            #expect(try await rig.store.read(.servers).servers == [expected[0], expected[2]])
        }
    }

    @Test("a read has the entries of its scope alone, in the order of their keys", arguments: StoreKind.installed)
    func scopes(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let client = TestClient("a")
            let claims = [
                client.claim(.udp(53)), client.claim(.tcp(9_000)), client.claim(.name("app.example.com"), part: "tls"),
                client.claim(.tcp(80)), client.claim(.name("app.example.com"), part: "http:/"),
                client.claim(.name("other.example.com")),
            ]
            for claim in claims { try await rig.granted(claim, lease) }
            _ = try await rig.apply(.server(Self.record(1), lease: lease))
            let ports = try await rig.store.read(.ports).claims.map(\.claim)
            #expect(ports == [claims[3], claims[1], claims[0]].sorted { "\($0.key)" < "\($1.key)" })
            let name = try await rig.claims(of: .name("app.example.com")).map(\.claim)
            #expect(name == [claims[4], claims[2]])
            #expect(try await rig.claims(of: .tcp(80)).map(\.claim) == [claims[3]])
            #expect(try await rig.claims(of: .tcp(81)).isEmpty)
        }
    }
}
