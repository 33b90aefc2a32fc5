import Mux
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

@Suite("Servers whose leases have ended") struct LapseTests {
    private let key = ScriptedNode.key()
    private let held = ScriptedNode.held(ScriptedNode.key(), 15)

    /// A node with a claim of a server to which a link lives.
    private func linked() -> Script {
        var script = Script.joined()
        script.event(15, .claim(held))
        script.with { $0.link(to: Script.peer, isUp: true, now: $1) }
        _ = script.takeActions()
        return script
    }

    @Test(
        "the claims of a server stay while its link lives, whichever of record and claims the store loses first",
        arguments: [true, false]
    )
    func lapse(isRecordFirst: Bool) {
        var script = linked()
        if isRecordFirst {
            script.event(20, .serverGone(Script.peer), scope: .servers)
            script.event(20, .claimGone(key))
        } else {
            script.event(20, .claimGone(key))
            script.pass(.seconds(3))
            script.event(20, .serverGone(Script.peer), scope: .servers)
        }
        #expect(script.node.claims(of: key.place) == [held] && script.node.ports == 1)
        #expect(script.takeActions() == (isRecordFirst ? [] : [.portChanged(key.place), .portChanged(key.place)]))
        script.with { $0.link(to: Script.peer, isUp: false, now: $1) }
        #expect(script.node.claims(of: key.place) == [] && script.node.ports == 0)
        #expect(script.takeActions() == [.portChanged(key.place)])
    }

    @Test(
        "a claim that its server has given up does not come back: the record stays, goes later than a lease lasts, or drains"
    )
    func givenUp() {
        var script = linked()
        script.event(20, .claimGone(key))
        #expect(script.node.claims(of: key.place) == [])
        script.pass(.milliseconds(10_001))
        script.event(21, .serverGone(Script.peer), scope: .servers)
        #expect(script.node.claims(of: key.place) == [])

        script = linked()
        var draining = Script.peerRecord
        draining.isDraining = true
        script.event(18, .server(draining), scope: .servers)
        script.event(20, .claimGone(key))
        script.event(20, .serverGone(Script.peer), scope: .servers)
        #expect(script.node.claims(of: key.place) == [])

        script = linked()
        script.event(18, .server(draining), scope: .servers)
        script.event(20, .serverGone(Script.peer), scope: .servers)
        script.event(20, .claimGone(key))
        #expect(script.node.claims(of: key.place) == [])
    }

    @Test("without a link, the claims of a server end with its lease")
    func noLink() {
        var script = Script.joined()
        script.event(15, .claim(held))
        script.event(20, .serverGone(Script.peer), scope: .servers)
        script.event(20, .claimGone(key))
        #expect(script.node.claims(of: key.place) == [])
    }

    @Test("a server that is back in the store has 10 s for its claims; those that it has not put back end")
    func returned() {
        var script = linked()
        let other = Script.key(.tcp(8023))
        script.event(16, .claim(Script.held(other, 16)))
        script.event(20, .serverGone(Script.peer), scope: .servers)
        script.event(20, .claimGone(key), .claimGone(other))
        script.event(30, .server(Script.peerRecord), scope: .servers)
        script.event(31, .claim(Script.held(key, 31)))
        script.pass(.milliseconds(9_999))
        #expect(script.node.claims(of: other.place).count == 1)
        _ = script.takeActions()
        script.pass(.milliseconds(1))
        #expect(script.node.claims(of: other.place) == [] && script.takeActions() == [.portChanged(other.place)])
        #expect(script.node.claims(of: key.place) == [Script.held(key, 31)] && script.node.ports == 1)
        script.with { $0.link(to: Script.peer, isUp: false, now: $1) }
        #expect(script.node.claims(of: key.place).count == 1, "it is in the store")
    }

    @Test("a claim of another client ends the one that has lapsed")
    func excluded() {
        var script = linked()
        script.event(20, .serverGone(Script.peer), scope: .servers)
        script.event(20, .claimGone(key))
        let third = ServerID(0x0C0C_0C0C)
        let newer = Script.held(Script.key(client: 2), 25, home: third)
        script.event(25, .claim(newer))
        #expect(script.node.claims(of: key.place) == [newer] && script.node.ports == 1)
    }

    @Test("a read of the store without the server and its claims keeps them too")
    func read() {
        var script = linked()
        for scope in [StoreScope.servers, .ports] {
            script.with { $0.watchEnded(scope, .compacted, now: $1) }
        }
        script.pass(.milliseconds(200))
        var snapshot = StoreSnapshot(revision: Revision(50))
        snapshot.servers = [Script.record]
        script.reply(.snapshot(StoreSnapshot(revision: Revision(50)))) { $0 == .read(.ports) }
        script.reply(.snapshot(snapshot)) { $0 == .read(.servers) }
        #expect(script.node.claims(of: key.place) == [held] && script.node.ports == 1)
    }
}
