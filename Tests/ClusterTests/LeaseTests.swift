import Mux
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

@Suite("Leases and the life of a server") struct LeaseTests {
    private let key = ScriptedNode.key()

    @Test("a server that drains gives back the claims that it has, and those that wait are decided first")
    func givesBack() {
        var script = Script.joined()
        let first = script.want(Script.key())
        script.granted(11)
        let second = script.want(Script.key(.tcp(9)))
        script.with { $0.giveBackAll(now: $1) }
        #expect(script.changes.contains(.release(Script.key(), epoch: Revision(11))))
        script.granted(12)
        #expect(script.takeActions().contains(.granted(second)))
        script.answer(.released)
        script.with { $0.giveBackAll(now: $1) }
        #expect(script.changes == [.release(Script.key(.tcp(9)), epoch: Revision(12))])
        script.answer(.released)
        script.drop(first)
        script.drop(second)
        #expect(script.changes.isEmpty && script.node.claims.count == 0)
    }

    @Test("a lease is kept alive every 3 s, counted from the request")
    func keepAlive() {
        var script = Script.joined()
        for _ in 0..<3 {
            script.pass(.milliseconds(2_999))
            #expect(script.requests.isEmpty)
            script.pass(.milliseconds(1))
            script.now = script.now + .milliseconds(500)
            script.reply(.isAlive(true)) { $0 == .keepAlive(LeaseID(1)) }
            script.now = script.now + .milliseconds(-500)
        }
    }

    @Test("failed requests wait 0.2, 0.4 and 0.8 s, and then 1 s, and ticks are not due in a loop meanwhile")
    func pauses() {
        var script = Script.joined()
        script.pass(.seconds(3))
        for pause in [200, 400, 800, 1_000, 1_000] {
            script.loseAll()
            #expect(!script.node.isStoreReachable)
            script.pass(.milliseconds(pause - 1))
            #expect(script.requests.isEmpty)
            script.pass(.milliseconds(1))
            #expect(script.requests.map(\.request) == [.keepAlive(LeaseID(1))])
        }
        script.reply(.isAlive(true)) { _ in true }
        #expect(script.node.isStoreReachable)
    }

    @Test("a lease holds 1,000 entries, and the next one gets another lease")
    func fullLease() {
        var script = Script.joined()
        for port in 1...999 {
            _ = script.want(Script.key(.tcp(UInt16(port))))
            script.granted(Int64(20 + port))
        }
        #expect(script.requests.isEmpty && script.node.leases.leases.map(\.entries) == [1_000])
        _ = script.want(Script.key(.tcp(1_000)))
        #expect(script.requests.map(\.request) == [.grantLease(seconds: 10)])
        script.reply(.lease(LeaseID(2))) { _ in true }
        script.granted(2_000)
        #expect(script.node.leases.leases.map(\.entries) == [1_000, 1])
    }

    @Test("a lease without entries is given back while another has much room")
    func spareLease() {
        var script = Script.joined()
        let ids = (1...1_000).map { script.want(Script.key(.tcp(UInt16($0)))) }
        var epoch: Int64 = 20
        while let request = script.requests.first?.request {
            switch request {
            case .grantLease: script.reply(.lease(LeaseID(2))) { $0 == request }
            case .apply(let changes):
                let answers = changes.map { _ in
                    epoch += 1
                    return StoreAnswer.granted(epoch: Revision(epoch))
                }
                script.reply(.answers(answers)) { $0 == request }
            default: Issue.record("\(request)")
            }
        }
        #expect(script.node.leases.leases.map(\.entries) == [1_000, 1])
        for id in ids.reversed() { script.drop(id) }
        var revoked = 0
        while let request = script.requests.first?.request {
            switch request {
            case .apply(let changes): script.reply(.answers(changes.map { _ in .released })) { $0 == request }
            case .revoke:
                revoked += 1
                script.reply(.revoked) { $0 == request }
            default: Issue.record("\(request)")
            }
        }
        #expect(revoked == 1 && script.node.leases.leases.map(\.entries) == [1])
    }

    @Test("after ten minutes without the store, claims are put back within 2 s of its return")
    func outage() {
        var script = Script.joined()
        let id = script.want(key)
        script.granted(20)
        _ = script.takeActions()
        let start = script.now
        while script.now.since(start) < .seconds(600) {
            script.pass(.milliseconds(100))
            script.loseAll()
        }
        #expect(script.takeActions().isEmpty, "nothing is lost by an absence")
        let new = script.want(Script.key(.tcp(1)))
        let back = script.now
        script.pass(.seconds(1))
        script.reply(.isAlive(false)) { $0 == .keepAlive(LeaseID(1)) }
        script.reply(.lease(LeaseID(2))) { $0 == .grantLease(seconds: 10) }
        var epoch: Int64 = 30
        while let request = script.requests.first?.request, case .apply(let changes) = request {
            let answers = changes.map { _ in
                epoch += 1
                return StoreAnswer.granted(epoch: Revision(epoch))
            }
            script.reply(.answers(answers)) { $0 == request }
        }
        #expect(script.now.since(back) <= .seconds(2))
        #expect(script.takeActions() == [.granted(new)])
        guard case .held(_, LeaseID(2)) = script.node.claims[key]?.state else {
            Issue.record("\(String(describing: script.node.claims[key])), \(id)")
            return
        }
    }

    @Test("a lease that ends while a grant's answer is on its way leads to the claim being put back")
    func endsBeforeAnswer() {
        var script = Script.joined()
        script.pass(.seconds(3))
        let id = script.want(key)
        script.reply(.isAlive(false)) { $0 == .keepAlive(LeaseID(1)) }
        script.granted(20)
        #expect(script.takeActions() == [.granted(id)])
        script.reply(.lease(LeaseID(2))) { $0 == .grantLease(seconds: 10) }
        #expect(script.changes.contains(.claim(Script.claim(key), lease: LeaseID(2), over: nil)))
    }

    // MARK: The record

    @Test("a server that drains writes its record again, also if the first one is still on its way")
    func drain() {
        var draining = Script.record
        draining.isDraining = true
        var script = Script.joined()
        script.with { $0.drain(now: $1) }
        #expect(script.changes == [.server(draining, lease: LeaseID(1))])
        script.granted(20)
        #expect(script.requests.isEmpty && script.node.leases.leases[0].entries == 1)

        script = Script()
        script.with { $0.start(now: $1) }
        script.reply(.lease(LeaseID(1))) { $0 == .grantLease(seconds: 10) }
        script.with { $0.drain(now: $1) }
        script.granted(5)
        #expect(script.changes == [.server(draining, lease: LeaseID(1))])
        script.granted(6)
        #expect(script.changes.isEmpty && script.node.leases.leases[0].entries == 1)
    }

    @Test("a record that is removed, or that a late request has set back, is written again")
    func record() {
        var script = Script.joined()
        script.with { $0.drain(now: $1) }
        script.granted(20)
        script.event(19, .serverGone(Script.id), scope: .servers)
        #expect(script.changes.isEmpty, "that was before")
        script.event(21, .server(Script.record), scope: .servers)
        #expect(script.changes.count == 1)
        script.granted(22)
        script.event(23, .serverGone(Script.id), scope: .servers)
        #expect(script.changes.count == 1)
        script.granted(24)
        #expect(script.requests.isEmpty && script.node.leases.leases[0].entries == 1)
    }

    @Test("a server that stops revokes its leases, and refuses claims and visitors that wait")
    func stop() {
        var script = Script.joined()
        let claim = script.want(key)
        guard case .asked(let lookup) = script.find(.name("a")) else {
            Issue.record("not asked")
            return
        }
        script.with { $0.stop(now: $1) }
        #expect(script.requests.contains { $0.request == .revoke(LeaseID(1)) })
        #expect(Set(script.takeActions()) == [.refused(claim, .storeUnreachable), .found(lookup, nil)])
        #expect(script.node.deadline == nil)
        let late = script.want(Script.key(.tcp(1)))
        #expect(script.takeActions() == [.refused(late, .storeUnreachable)])
        #expect(script.find(.name("b")) == .known([]))
        let count = script.requests.count
        script.granted(20)
        script.event(30, .claim(Script.held(key, 30)))
        script.with { $0.watchEnded(.ports, .compacted, now: $1) }
        script.with { $0.stop(now: $1) }
        script.with { $0.tick(now: $1) }
        script.drop(claim)
        #expect(script.requests.count == count - 1 && script.takeActions().isEmpty)
    }
}
