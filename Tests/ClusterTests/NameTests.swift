import Mux
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

@Suite("Names that visitors ask for") struct NameTests {
    private let place = ClaimPlace.name("a.example")
    private let held = ScriptedNode.held(ScriptedNode.key(.name("a.example"), part: "http:/"), 15)

    private func snapshot(_ claims: [HeldClaim]) -> StoreReply {
        var snapshot = StoreSnapshot(revision: Revision(20))
        snapshot.claims = claims
        return .snapshot(snapshot)
    }

    /// A node that has read the name.
    private func knowing(_ claims: [HeldClaim], _ limits: ClusterLimits = ClusterLimits()) -> Script {
        var script = Script.joined(limits)
        _ = script.find(place)
        script.reply(snapshot(claims)) { $0 == .read(.place(place)) }
        _ = script.takeActions()
        return script
    }

    @Test("a name that is not known is read once for all visitors that wait")
    func asks() {
        var script = Script.joined()
        guard case .asked(let first) = script.find(place), case .asked(let second) = script.find(place) else {
            Issue.record("not asked")
            return
        }
        #expect(script.requests.map(\.request) == [.read(.place(place))])
        script.reply(snapshot([held])) { _ in true }
        #expect(script.takeActions() == [.found(first, [held]), .found(second, [held])])
        #expect(script.find(place) == .known([held]))
    }

    @Test("a name is believed for 60 s, and an unknown one for 1 s")
    func lifetime() {
        for (claims, lifetime) in [([held], Duration.seconds(60)), ([], .seconds(1))] {
            var script = knowing(claims)
            script.now = script.now + (lifetime - .nanoseconds(1))
            #expect(script.find(place) == .known(claims))
            script.now = script.now + .nanoseconds(1)
            guard case .asked = script.find(place) else {
                Issue.record("believed too long")
                continue
            }
        }
    }

    @Test("a name whose home is gone is read again, unless a link to the home lives")
    func homeGone() {
        var script = knowing([held])
        script.with { $0.link(to: Script.peer, isUp: true, now: $1) }
        script.with {
            $0.receive(.changed([.serverGone(Script.peer)], at: Revision(30)), of: .servers, now: $1)
        }
        #expect(script.find(place) == .known([held]))
        script.with { $0.link(to: Script.peer, isUp: false, now: $1) }
        #expect(!script.node.isKnown(Script.peer) && script.node.isKnown(Script.id))
        guard case .asked = script.find(place) else {
            Issue.record("believed")
            return
        }
    }

    @Test("a name that its home does not have any more is read again")
    func moved() {
        var script = knowing([held])
        script.node.moved(place)
        guard case .asked(let id) = script.find(place) else {
            Issue.record("believed")
            return
        }
        script.node.moved(.tcp(1))
        // A store that is away tells nothing: the home may be reached again.
        script.reply(Script.lost) { $0 == .read(.place(place)) }
        #expect(script.takeActions() == [.found(id, [held])])
    }

    @Test("without the store, a name that was known goes on for any time, and another one is not found")
    func withoutStore() {
        var script = knowing([held])
        script.now = script.now + .seconds(3)
        script.with { $0.tick(now: $1) }
        script.loseAll()
        script.now = script.now + .seconds(600)
        #expect(script.find(place) == .known([held]))
        guard case .asked(let id) = script.find(.name("b.example")) else {
            Issue.record("not asked")
            return
        }
        script.reply(Script.lost) { $0 == .read(.place(.name("b.example"))) }
        #expect(script.takeActions() == [.found(id, nil)])
    }

    @Test("if the first read of a known name fails, what was known is the answer")
    func staleRead() {
        var script = knowing([held])
        script.now = script.now + .seconds(60)
        guard case .asked(let id) = script.find(place) else {
            Issue.record("not asked")
            return
        }
        script.reply(Script.lost) { $0 == .read(.place(place)) }
        #expect(script.takeActions() == [.found(id, [held])])
    }

    @Test("a read replaces all that was known of the name, and claims of other places in it do not count")
    func replaces() {
        var script = knowing([held])
        script.node.moved(place)
        _ = script.find(place)
        let other = Script.held(Script.key(.name("a.example"), client: 2, part: "http:/"), 18)
        script.reply(snapshot([other, Script.held(Script.key(.tcp(1)), 3)])) { $0 == .read(.place(place)) }
        #expect(script.find(place) == .known([other]))
        #expect(script.node.claims(of: .tcp(1)).isEmpty)
        #expect(script.node.table.count == 1)
    }

    @Test("a failed read of a name holds up neither claims nor signs of life")
    func failedRead() {
        var script = Script.joined()
        _ = script.find(place)
        script.reply(Script.lost) { $0 == .read(.place(place)) }
        let claim = script.want(Script.key())
        #expect(script.changes.count == 1)
        script.granted(11)
        #expect(script.takeActions().contains(.granted(claim)))
        #expect(script.node.isStoreReachable)
    }

    @Test("at most 1,000 visitors wait for names, and the next one is refused")
    func lookups() {
        for (limit, isFull) in [(3, false), (2, true)] {
            var limits = ClusterLimits()
            limits.lookups = limit
            var script = Script.joined(limits)
            _ = script.find(place)
            _ = script.find(place)
            let third = script.find(.name("b.example"))
            #expect((third == .full) == isFull)
            script.reply(snapshot([held])) { $0 == .read(.place(place)) }
            #expect(script.find(.name("c.example")) != .full)
        }
        #expect(ClusterLimits().lookups == 1_000)
    }

    @Test("at most 32 names are read at a time, and the next one is read once an answer is there")
    func nameReads() {
        for (limit, isRead) in [(3, true), (2, false)] {
            var limits = ClusterLimits()
            limits.nameReads = limit
            var script = Script.joined(limits)
            for name in ["1", "2", "3"] { _ = script.find(.name(name)) }
            #expect(script.requests.map(\.request).contains(.read(.place(.name("3")))) == isRead)
            script.reply(snapshot([])) { $0 == .read(.place(.name("1"))) }
            script.reply(snapshot([])) { $0 == .read(.place(.name("3"))) }
            script.reply(snapshot([])) { $0 == .read(.place(.name("2"))) }
            #expect(script.requests.isEmpty && script.node.names.lookups == 0 && script.node.names.reads == 0)
        }
        #expect(ClusterLimits().nameReads == 32)
    }

    @Test("a name waits for its turn for less than 2 s, and then its visitors are refused")
    func nameWait() {
        for (wait, isRead) in [(ClusterLimits().nameWait - .nanoseconds(1), true), (ClusterLimits().nameWait, false)] {
            var limits = ClusterLimits()
            limits.nameReads = 1
            var script = Script.joined(limits)
            guard case .asked(let first) = script.find(.name("1")), case .asked(let second) = script.find(.name("2"))
            else {
                Issue.record("not asked")
                return
            }
            script.now = script.now + wait
            script.reply(Script.lost) { $0 == .read(.place(.name("1"))) }
            #expect(script.requests.map(\.request) == (isRead ? [.read(.place(.name("2")))] : []))
            #expect(script.takeActions() == [.found(first, nil)] + (isRead ? [] : [.found(second, nil)]))
            #expect(script.node.names.lookups == (isRead ? 1 : 0))
        }
        #expect(ClusterLimits().nameWait == .seconds(2))
    }

    @Test("as many names are remembered as the limit says, and the one that was read first is forgotten")
    func names() {
        var limits = ClusterLimits()
        limits.names = 2
        var script = Script.joined(limits)
        func read(_ name: String) {
            script.now = script.now + .milliseconds(1)
            _ = script.find(.name(name))
            let held = Script.held(Script.key(.name(name), part: "http:/"), 15)
            script.reply(snapshot([held])) { $0 == .read(.place(.name(name))) }
        }
        for name in ["1", "2"] { read(name) }
        #expect(script.node.table.count == 2)
        script.node.moved(.name("1"))
        for name in ["1", "3"] { read(name) }
        #expect(script.node.table.count == 2 && script.node.names.counts.owned == 2)
        #expect(script.node.claims(of: .name("2")).isEmpty, "1 was read again")
    }

    @Test("a flood of unknown names pushes out no name that has an owner, and leaves nothing behind")
    func unknownNames() {
        var limits = ClusterLimits()
        limits.unknownNames = 50
        var script = knowing([held], limits)
        for number in 0..<2_000 {
            let name = ClaimPlace.name("\(number % 60).unknown")
            if case .asked = script.find(name) { script.reply(snapshot([])) { $0 == .read(.place(name)) } }
            if number.isMultiple(of: 60) { script.now = script.now + .milliseconds(1_001) }
        }
        #expect(script.node.names.counts.unknown == 50 && script.node.names.counts.owned == 1)
        #expect(script.node.table.count == 1 && script.find(place) == .known([held]))
        #expect(script.node.names.waiting.isEmpty && script.node.names.lookups == 0)
    }

    @Test("at most as many claims of a name are remembered as the limit says")
    func claimsOfName() {
        var limits = ClusterLimits()
        limits.claimsOfName = 3
        for count in [3, 4] {
            let group = ClaimOwner(group: "g", proof: [])
            let claims = (1...count).map { number in
                let member = ClaimMember(client: [UInt8(number)], instance: [])
                return Script.held(ClaimKey(place, owner: group, member: member), Int64(number))
            }
            let script = knowing(claims, limits)
            #expect(script.node.claims(of: place).count == 3)
        }
    }
}
