import Mux
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

@Suite("What a server knows of the others") struct ScopeTests {
    private let key = ScriptedNode.key()
    private let held = ScriptedNode.held(ScriptedNode.key(), 15)

    @Test("a server reads servers and ports, and watches from the revision behind")
    func start() {
        var script = Script()
        script.with { $0.start(now: $1) }
        #expect(Set(script.requests.map(\.request)) == [.grantLease(seconds: 10), .read(.servers), .read(.ports)])
        var snapshot = StoreSnapshot(revision: Revision(41))
        snapshot.claims = [held]
        script.reply(.snapshot(snapshot)) { $0 == .read(.ports) }
        #expect(script.takeActions() == [.portChanged(.tcp(8022)), .watch(.ports, from: Revision(42))])
        #expect(script.node.claims(of: .tcp(8022)) == [held])
    }

    @Test("events change what is known, repetitions and older ones do not")
    func events() {
        var script = Script.joined()
        script.event(15, .claim(held))
        #expect(script.takeActions() == [.portChanged(.tcp(8022))])
        script.event(15, .claim(held))
        script.event(14, .claimGone(key))
        #expect(script.takeActions().isEmpty && script.node.claims(of: .tcp(8022)) == [held])
        script.event(16, .claimGone(key))
        #expect(script.takeActions() == [.portChanged(.tcp(8022))])
        script.event(17, .claimGone(key))
        #expect(script.takeActions().isEmpty && script.node.table.count == 0 && script.node.ports == 0)
    }

    @Test("a name in a watch of ports is not remembered")
    func nameEvent() {
        var script = Script.joined()
        script.event(15, .claim(Script.held(Script.key(.name("a")), 15)))
        #expect(script.node.table.count == 0 && script.takeActions().isEmpty)
    }

    @Test("a watch that ends goes on from the last revision, also one without changes")
    func watchEnds() {
        var script = Script.joined()
        script.event(15, .claim(held))
        script.with { $0.receive(.progress(Revision(33)), of: .ports, now: $1) }
        script.with { $0.watchEnded(.ports, .unreachable(""), now: $1) }
        _ = script.takeActions()
        script.event(40, .claimGone(key))
        #expect(script.node.claims(of: .tcp(8022)) == [held], "no watch reports anything now")
        script.pass(.milliseconds(199))
        #expect(script.takeActions().isEmpty)
        script.pass(.milliseconds(1))
        #expect(script.takeActions() == [.watch(.ports, from: Revision(34))])
    }

    @Test("after compaction, a scope is read again, and what is gone meanwhile is forgotten")
    func compaction() {
        var script = Script.joined()
        script.event(15, .claim(held))
        script.with { $0.watchEnded(.ports, .compacted, now: $1) }
        _ = script.takeActions()
        script.pass(.milliseconds(200))
        let other = Script.held(Script.key(.udp(53)), 60)
        var snapshot = StoreSnapshot(revision: Revision(70))
        snapshot.claims = [other]
        script.reply(.snapshot(snapshot)) { $0 == .read(.ports) }
        #expect(script.node.table.all == [other])
        #expect(
            script.takeActions() == [
                .portChanged(.tcp(8022)), .portChanged(.udp(53)), .watch(.ports, from: Revision(71)),
            ]
        )
    }

    @Test("a read that fails is repeated")
    func readFails() {
        var script = Script.joined()
        script.with { $0.watchEnded(.servers, .compacted, now: $1) }
        script.pass(.milliseconds(200))
        script.reply(Script.lost) { $0 == .read(.servers) }
        script.pass(.milliseconds(200))
        script.reply(.snapshot(StoreSnapshot(revision: Revision(70)))) { $0 == .read(.servers) }
        #expect(script.node.servers.isEmpty && script.takeActions().last == .watch(.servers, from: Revision(71)))
    }

    @Test("a watch that ends again and again is tried less often, and after three times its scope is read")
    func brokenWatch() {
        var script = Script.joined()
        var times: [Instant] = []
        for _ in 0..<3 {
            let before = script.now
            script.with { $0.watchEnded(.ports, .unreachable(""), now: $1) }
            let due = script.node.scopeDeadline ?? before
            times.append(due)
            #expect(due > before)
            script.now = due
            script.with { $0.tick(now: $1) }
        }
        #expect(times[2].since(times[1]) > times[1].since(times[0]))
        #expect(script.requests.contains { $0.request == .read(.ports) })
    }

    @Test("a restored store has lower revisions: the read counts more than what was known")
    func restored() {
        var script = Script.joined()
        script.event(500, .claim(Script.held(key, 500)))
        script.with { $0.watchEnded(.ports, .compacted, now: $1) }
        script.pass(.milliseconds(200))
        var snapshot = StoreSnapshot(revision: Revision(70))
        snapshot.claims = [Script.held(key, 60, session: [7])]
        script.reply(.snapshot(snapshot)) { $0 == .read(.ports) }
        #expect(script.node.claims(of: .tcp(8022)) == snapshot.claims)
        script.event(71, .claimGone(key))
        #expect(script.node.claims(of: .tcp(8022)).isEmpty)
    }

    @Test("servers come, change and go by events")
    func servers() {
        var script = Script.joined()
        var draining = Script.peerRecord
        draining.isDraining = true
        script.event(11, .server(draining), scope: .servers)
        #expect(script.node.servers[Script.peer]?.isDraining == true && script.node.isKnown(Script.peer))
        script.event(12, .serverGone(Script.peer), scope: .servers)
        #expect(script.node.servers[Script.peer] == nil && !script.node.isKnown(Script.peer))
    }

    @Test("at most as many servers and claims of ports are remembered as the limits say, and counts stay right")
    func bounds() {
        var limits = ClusterLimits()
        (limits.servers, limits.portClaims) = (3, 3)
        var script = Script.joined(limits)
        for number in 1...4 {
            let record = ServerRecord(ServerID(UInt32(number)), peerURL: "", version: "", since: 0)
            script.event(10 + Int64(number), .server(record), scope: .servers)
            script.event(10 + Int64(number), .claim(Script.held(Script.key(.tcp(UInt16(number))), 10 + Int64(number))))
            #expect(script.node.servers.count == 3 && script.node.table.count == min(number, 3))
        }
        script.event(20, .claimGone(Script.key(.tcp(4))), .claimGone(Script.key(.tcp(1))))
        script.event(21, .claim(Script.held(Script.key(.tcp(4)), 21)))
        #expect(script.node.table.count == 3 && script.node.ports == 3)
    }
}
