import Mux
import TestSupport
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

@Suite("Answers and entries that others write") struct HostileStoreTests {
    private static let key = ScriptedNode.key()

    private static let replies: [StoreReply] = [
        .lease(LeaseID(.max)), .lease(LeaseID(1)), .isAlive(true), .isAlive(false), .revoked, .answers([]),
        .answers([.released]), .answers([.granted(epoch: Revision(.max))]), .answers([.granted(epoch: Revision(.min))]),
        .answers([.held([])]), .answers([.leaseEnded]), .answers([.held([ScriptedNode.held(key, -1)])]),
        .answers([.held([ScriptedNode.held(ScriptedNode.key(.name("x")), 3)])]),
        .answers([.held([ScriptedNode.held(key, .max), ScriptedNode.held(key, 3, home: ScriptedNode.id)])]),
        .answers(Array(repeating: .released, count: 61)), .snapshot(StoreSnapshot(revision: Revision(.max))),
        .snapshot(StoreSnapshot(revision: Revision(.min))), .failed(.compacted), .failed(.refused("")),
        .failed(.malformed("")),
    ]

    @Test("an answer of another kind counts as a failure: the request is sent again after a pause")
    func otherKind() {
        for reply in Self.replies.filter({ if case .answers(let all) = $0 { all.count != 1 } else { true } }) {
            var script = Script.joined()
            let id = script.want(Self.key)
            script.reply(reply) { if case .apply = $0 { true } else { false } }
            #expect(script.requests.isEmpty && !script.node.isStoreReachable)
            script.pass(.milliseconds(200))
            #expect(script.changes == [.claim(Script.claim(Self.key), lease: LeaseID(1), over: nil)])
            script.granted(20)
            #expect(script.takeActions() == [.granted(id)])
        }
    }

    @Test(
        "answers, entries and events in any order and of any kind neither trap, nor loop, nor grow without a bound",
        arguments: 1...20
    )
    func random(seed: UInt64) {
        var random = Fuzzing.generator(seed)
        var limits = ClusterLimits()
        (limits.claims, limits.names, limits.unknownNames, limits.lookups, limits.servers) = (20, 5, 5, 10, 5)
        (limits.portClaims, limits.claimsOfName) = (10, 3)
        var script = Script(limits)
        script.with { $0.start(now: $1) }
        var wanted: [ClusterNode.ClaimID] = []
        var probes: [ClusterNode.ProbeID] = []
        for _ in 0..<3_000 {
            Self.step(&script, &wanted, &probes, &random)
            for action in script.takeActions() {
                if case .probe(let id, _, _) = action { probes.append(id) }
            }
            if wanted.count > 30 { wanted.removeFirst(10) }
            if probes.count > 30 { probes.removeFirst(10) }
        }
        let node = script.node
        #expect(node.claims.count <= 20 && node.claims.waitingCount <= 200 && node.claims.deadlineCount <= 20_000)
        #expect(node.servers.count <= 5 && node.ports <= 10 && node.names.counts.owned <= 5)
        #expect(node.names.counts.unknown <= 5 && node.table.count <= 10 + 5 * 3 && node.names.lookups <= 10)
    }

    private static func step(
        _ script: inout Script,
        _ wanted: inout [ClusterNode.ClaimID],
        _ probes: inout [ClusterNode.ProbeID],
        _ random: inout SplitMix64
    ) {
        func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
        func key() -> ClaimKey {
            let place: ClaimPlace = below(2) == 0 ? .tcp(UInt16(below(5))) : .name("n\(below(8))")
            return Script.key(place, client: UInt8(below(3)), instance: UInt8(below(2)))
        }
        func held() -> HeldClaim {
            let homes = [Script.id, Script.peer, ServerID(7)]
            let epoch = [Int64.min, -1, 0, .max, Int64(below(100))][below(5)]
            return Script.held(key(), epoch, home: homes[below(3)], session: Array(repeating: 1, count: below(40)))
        }
        func record() -> ServerRecord {
            let id = [Script.id, Script.peer, ServerID(UInt32(below(20)))][below(3)]
            return ServerRecord(id, peerURL: "x", isDraining: below(2) == 0, version: "", since: 1)
        }
        switch below(12) {
        case 0: wanted.append(script.want(key()))
        case 1: if let id = wanted.randomElement(using: &random) { script.drop(id) }
        case 2: _ = script.find(key().place)
        case 3: script.node.moved(key().place)
        case 4:
            guard let probe = probes.randomElement(using: &random) else { return }
            let isAlive = below(2) == 0
            script.with { $0.answered(probe, isAlive: isAlive, now: $1) }
        case 5:
            let change: StoreEntryChange = [
                .claim(held()), .claimGone(key()), .server(record()), .serverGone(record().id),
            ][below(4)]
            let scope: StoreScope = [.ports, .servers, .place(.name("n1"))][below(3)]
            script.event([Int64.max - 1, .min, Int64(below(1_000))][below(3)], change, scope: scope)
        case 6:
            let scope: StoreScope = [.ports, .servers][below(2)]
            let failure: StoreFailure = [.compacted, .unreachable("")][below(2)]
            script.with { $0.watchEnded(scope, failure, now: $1) }
        case 7: script.pass(.milliseconds(below(3_000)))
        default:
            guard let request = script.requests.randomElement(using: &random)?.request else { return }
            var reply = replies[below(replies.count)]
            if case .read = request, below(2) == 0 {
                var snapshot = StoreSnapshot(revision: Revision([0, .max, Int64(below(1_000))][below(3)]))
                snapshot.claims = (0..<below(20)).map { _ in held() }
                snapshot.servers = (0..<below(10)).map { _ in record() }
                reply = .snapshot(snapshot)
            }
            if case .apply(let changes) = request, below(4) > 0 {
                reply = .answers(
                    changes.map { _ in
                        [
                            .granted(epoch: Revision(Int64(below(100)))), .held([held()]), .leaseEnded, .released,
                            .held([]),
                        ][below(5)]
                    }
                )
            }
            script.reply(reply) { $0 == request }
        }
    }

    @Test("a lease that is there already does not count as another one, and is asked for again after a pause")
    func sameLease() {
        var script = Script.joined()
        for number in 1...1_000 {
            _ = script.want(Script.key(.tcp(UInt16(number))))
            if number < 1_000 { script.granted(Int64(20 + number)) }
        }
        script.reply(.lease(LeaseID(1))) { $0 == .grantLease(seconds: 10) }
        #expect(script.requests.isEmpty && script.node.leases.leases.count == 1)
        script.pass(.milliseconds(200))
        script.reply(.lease(LeaseID(2))) { $0 == .grantLease(seconds: 10) }
        #expect(script.changes.count == 1)
    }

    @Test("an answer that comes twice changes nothing the second time")
    func twice() {
        var script = Script.joined()
        _ = script.want(Self.key)
        guard let id = script.requests.first?.id else {
            Issue.record("no request")
            return
        }
        script.granted(20)
        _ = script.takeActions()
        script.with { $0.receive(.answers([.held([Script.held(Self.key, 99)])]), to: id, now: $1) }
        script.with { $0.receive(.answers([.leaseEnded]), to: id, now: $1) }
        #expect(script.takeActions().isEmpty && script.requests.isEmpty && script.node.leases.leases.count == 1)
    }
}
