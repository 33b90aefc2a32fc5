import Cluster
import TestSupport
import Testing

/// Rules of claims that each store keeps.
@Suite("Claims of each store", .timeLimit(.minutes(2)))
struct ClaimConformanceTests {
    private static let port = ClaimPlace.tcp(8_022)
    private static let name = ClaimPlace.name("app.example.com")

    @Test("a free place is granted, and read with its epoch", arguments: StoreKind.installed)
    func free(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(Self.port), lease)
            let snapshot = try await rig.store.read(.ports)
            #expect(snapshot.claims == [held])
            #expect(snapshot.revision >= held.epoch)
            #expect(snapshot.servers.isEmpty)
        }
    }

    @Test("another client, another instance and the same instance find a place held", arguments: StoreKind.installed)
    func held(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(Self.port), lease)
            for other in [TestClient("b"), TestClient("a", 2), TestClient("a")] {
                let answer = try await rig.apply(.claim(other.claim(Self.port, session: 2), lease: lease, over: nil))
                #expect(answer == .held([held]))
            }
            #expect(try await rig.claims(of: Self.port) == [held])
        }
    }

    @Test("members of a group share a place, and others find it held by all of them", arguments: StoreKind.installed)
    func group(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let claims = [TestClient("a"), TestClient("a", 2), TestClient("b")].map {
                $0.claim(Self.port, group: "web")
            }
            var members: [HeldClaim] = []
            for claim in claims { members.append(try await rig.granted(claim, lease)) }
            #expect(Set(try await rig.claims(of: Self.port)) == Set(members))
            #expect(try await rig.apply(.claim(claims[1], lease: lease, over: nil)) == .held([members[1]]))
            for stranger in [TestClient("a").claim(Self.port), TestClient("a").claim(Self.port, group: "other")] {
                guard case .held(let holders) = try await rig.apply(.claim(stranger, lease: lease, over: nil)) else {
                    throw ScenarioFailure(description: "a stranger is in the group's place")
                }
                #expect(Set(holders) == Set(members))
            }
        }
    }

    @Test("a group does not join a client's place", arguments: StoreKind.installed)
    func groupAfterClient(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(Self.port), lease)
            let joining = TestClient("a").claim(Self.port, group: "web")
            #expect(try await rig.apply(.claim(joining, lease: lease, over: nil)) == .held([held]))
        }
    }

    @Test("one client has several parts of a name, and no other client gets one", arguments: StoreKind.installed)
    func parts(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let root = try await rig.granted(TestClient("a").claim(Self.name, part: "http:/"), lease)
            let deeper = try await rig.granted(TestClient("a", 2).claim(Self.name, part: "http:/api"), lease)
            let again = TestClient("a", 2).claim(Self.name, part: "http:/")
            #expect(try await rig.apply(.claim(again, lease: lease, over: nil)) == .held([root]))
            let other = TestClient("b").claim(Self.name, part: "http:/other")
            guard case .held(let holders) = try await rig.apply(.claim(other, lease: lease, over: nil)) else {
                throw ScenarioFailure(description: "a second client has a part of the name")
            }
            #expect(Set(holders) == [root, deeper])
            let group = TestClient("a").claim(Self.name, part: "http:/group", group: "web")
            guard case .held(let holders) = try await rig.apply(.claim(group, lease: lease, over: nil)) else {
                throw ScenarioFailure(description: "a group has a part of a client's name")
            }
            #expect(Set(holders) == [root, deeper])
        }
    }

    @Test("members of a group share each part of a name", arguments: StoreKind.installed)
    func groupParts(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            for part in ["http:/", "http:/api"] {
                for client in ["a", "b"] {
                    try await rig.granted(TestClient(client).claim(Self.name, part: part, group: "web"), lease)
                }
            }
            #expect(try await rig.claims(of: Self.name).count == 4)
        }
    }

    @Test("a claim takes over the one whose key and epoch it names", arguments: StoreKind.installed)
    func takeOver(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            for group in [nil, "web"] {
                let place = ClaimPlace.tcp(group == nil ? 8_022 : 8_023)
                let old = try await rig.granted(TestClient("a").claim(place, group: group), lease)
                let new = TestClient("a").claim(place, group: group, session: 2)
                for wrong in [Revision(old.epoch.number + 1), Revision(max(old.epoch.number - 1, 0))] {
                    #expect(try await rig.apply(.claim(new, lease: lease, over: wrong)) == .held([old]))
                }
                let other = TestClient("a", 2).claim(place, session: 2)
                #expect(try await rig.apply(.claim(other, lease: lease, over: old.epoch)) == .held([old]))
                let taken = try await rig.granted(new, lease, over: old.epoch)
                #expect(taken.epoch > old.epoch)
                #expect(try await rig.apply(.claim(old.claim, lease: lease, over: old.epoch)) == .held([taken]))
                #expect(try await rig.claims(of: place) == [taken])
            }
        }
    }

    @Test("a take-over of a claim that is gone is not granted", arguments: StoreKind.installed)
    func takeOverOfNothing(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let old = try await rig.granted(TestClient("a").claim(Self.port), lease)
            #expect(try await rig.apply(.release(old.claim.key, epoch: old.epoch)) == .released)
            #expect(try await rig.apply(.claim(old.claim, lease: lease, over: old.epoch)) == .held([]))
            try await rig.granted(old.claim, lease)
        }
    }

    @Test("a release removes the claim with its epoch, and no later one", arguments: StoreKind.installed)
    func release(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let old = try await rig.granted(TestClient("a").claim(Self.port), lease)
            let new = try await rig.granted(TestClient("a").claim(Self.port, session: 2), lease, over: old.epoch)
            #expect(try await rig.apply(.release(old.claim.key, epoch: old.epoch)) == .released)
            #expect(try await rig.claims(of: Self.port) == [new])
            #expect(try await rig.apply(.release(new.claim.key, epoch: new.epoch)) == .released)
            #expect(try await rig.claims(of: Self.port) == [])
            #expect(try await rig.apply(.release(new.claim.key, epoch: new.epoch)) == .released)
            try await rig.granted(TestClient("b").claim(Self.port), lease)
        }
    }

    @Test("places whose texts begin alike are apart", arguments: StoreKind.installed)
    func neighbours(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            let places: [ClaimPlace] = [
                .tcp(80), .tcp(8_080), .tcp(8), .udp(80), .name("app"), .name("app0"), .name("app-1"), .name("ap"),
                .name("app.example"),
            ]
            for (index, place) in places.enumerated() {
                try await rig.granted(TestClient("client-\(index)").claim(place), lease)
            }
            for (index, place) in places.enumerated() {
                #expect(try await rig.claims(of: place).map(\.claim.client) == ["client-\(index)"])
            }
            #expect(try await rig.store.read(.ports).claims.count == 4)
        }
    }

    @Test("texts of any characters come back as they were", arguments: StoreKind.installed)
    func texts(kind: StoreKind) async throws {
        try await StoreRig.run(kind) { rig in
            let lease = try await rig.store.grantLease(seconds: 60)
            var claim = TestClient("a").claim(.name("app.example.com"), part: "http:/a b/%2F/ä\u{0}\"")
            claim.client = "Jürgen \"\\ \u{1F600}\n\u{0}\u{2028}"
            claim.since = .min
            claim.tunnel = .max
            let held = try await rig.granted(claim, lease)
            #expect(try await rig.claims(of: claim.key.place) == [held])
        }
    }
}
