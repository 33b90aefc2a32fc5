import Mux
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

@Suite("Claims of a server") struct ClaimTests {
    private let key = ScriptedNode.key()

    /// A node with one granted claim of epoch 20.
    private func holding(_ limits: ClusterLimits = ClusterLimits()) -> (Script, ClusterNode.ClaimID) {
        var script = Script.joined(limits)
        let id = script.want(key)
        script.granted(20)
        #expect(script.takeActions() == [.granted(id)])
        return (script, id)
    }

    @Test("a free place is claimed by one request, and granted once")
    func grant() {
        var script = Script.joined()
        let id = script.want(key)
        #expect(script.changes == [.claim(Script.claim(key), lease: LeaseID(1), over: nil)])
        script.granted(20)
        #expect(script.takeActions() == [.granted(id)])
        script.event(20, .claim(Script.held(key, 20, home: Script.id)))
        #expect(script.takeActions() == [.portChanged(.tcp(8022))])
        #expect(script.requests.isEmpty)
    }

    @Test("a claim that was given back is removed with its epoch")
    func release() {
        var (script, id) = holding()
        script.drop(id)
        #expect(script.changes == [.release(key, epoch: Revision(20))])
        script.answer(.released)
        #expect(script.node.claims.count == 0 && script.node.leases.leases[0].entries == 1)
        #expect(script.requests.isEmpty && script.takeActions().isEmpty)
        script.drop(id)
        #expect(script.requests.isEmpty)
    }

    @Test("a removal whose answer is lost is sent again")
    func releaseAgain() {
        var (script, id) = holding()
        script.drop(id)
        script.loseAll()
        script.pass(.milliseconds(200))
        #expect(script.changes == [.release(key, epoch: Revision(20))])
        script.answer(.released)
        #expect(script.node.claims.count == 0)
    }

    @Test("a place of another client, or of another process of the client, is refused")
    func held() {
        for other in [Script.key(client: 2), Script.key(instance: 2)] {
            var script = Script.joined()
            let id = script.want(key)
            script.answer(.held([Script.held(other, 15)]))
            #expect(script.takeActions() == [.refused(id, .held(Script.held(other, 15)))])
            #expect(script.node.claims.count == 0 && script.node.leases.leases[0].entries == 1)
            script.pass(.seconds(20))
            #expect(script.changes.isEmpty)
        }
    }

    @Test("an answer that names no holder leads to the same request again")
    func heldByNone() {
        var script = Script.joined()
        let id = script.want(key)
        script.answer(.held([]))
        script.granted(20)
        #expect(script.takeActions() == [.granted(id)])
    }

    @Test("after a lost answer, the claim that was written meanwhile is taken as this server's own")
    func lostAnswer() {
        var script = Script.joined()
        let id = script.want(key)
        script.loseAll()
        #expect(script.changes.isEmpty, "a failure is followed by a pause")
        script.pass(.milliseconds(200))
        script.answer(.held([Script.held(key, 19, home: Script.id)]))
        #expect(script.changes == [.claim(Script.claim(key), lease: LeaseID(1), over: Revision(19))])
        script.granted(20)
        #expect(script.takeActions() == [.granted(id)])
        #expect(script.node.leases.leases[0].entries == 2)
    }

    @Test("a claim that is not wanted any more while its answer is on its way is given back")
    func dropWhileSent() {
        var script = Script.joined()
        let id = script.want(key)
        script.drop(id)
        #expect(script.changes.count == 1)
        script.granted(20)
        #expect(script.changes == [.release(key, epoch: Revision(20))])
        script.answer(.released)
        #expect(script.node.claims.count == 0 && script.takeActions().isEmpty)
    }

    @Test("a claim that is not wanted any more, and whose answer was lost, is looked for and removed")
    func dropAfterLostAnswer() {
        for isEarly in [true, false] {
            var script = Script.joined()
            let id = script.want(key)
            if isEarly { script.drop(id) }
            script.loseAll()
            if !isEarly { script.drop(id) }
            script.pass(.milliseconds(200))
            script.answer(.held([Script.held(key, 19, home: Script.id)]))
            #expect(script.changes == [.release(key, epoch: Revision(19))])
            script.answer(.released)
            #expect(script.node.claims.count == 0 && script.takeActions().isEmpty)
        }
    }

    @Test("a removed claim that a late request writes again is found and removed")
    func lateRequest() {
        let name = ScriptedNode.key(.name("a.example"), part: "http:/")
        var script = Script.joined()
        let id = script.want(name)
        script.loseAll()
        script.drop(id)
        script.pass(.milliseconds(200))
        script.granted(20)
        script.answer(.released)
        #expect(script.node.claims.count == 0)
        script.pass(.seconds(10))
        var snapshot = StoreSnapshot(revision: Revision(30))
        snapshot.claims = [Script.held(name, 25, home: Script.id)]
        script.reply(.snapshot(snapshot)) { $0 == .read(.place(name.place)) }
        #expect(script.changes == [.release(name, epoch: Revision(25))])
    }

    @Test("a claim of a port that no session wants is removed when the watch reports it")
    func orphan() {
        var script = Script.joined()
        script.event(20, .claim(Script.held(key, 20, home: Script.id)))
        #expect(script.changes == [.release(key, epoch: Revision(20))])
        script.answer(.released)
        #expect(script.node.claims.count == 0)
    }

    @Test(
        "a claim is asked to come back if the store does not answer within 5 s, and is removed if it was granted late"
    )
    func timeout() {
        var script = Script.joined()
        let id = script.want(key)
        script.pass(.milliseconds(4_999))
        #expect(script.takeActions().isEmpty)
        script.pass(.milliseconds(1))
        #expect(script.takeActions() == [.refused(id, .storeUnreachable)])
        script.granted(20)
        #expect(script.changes == [.release(key, epoch: Revision(20))] && script.takeActions().isEmpty)
    }

    @Test("a claim that has waited for 5 s behind a failure is asked to come back, and wanted again it is granted")
    func timeoutWhileQueued() {
        var script = Script.joined()
        script.pass(.seconds(3))
        script.loseAll()
        let id = script.want(key)
        for _ in 0..<10 {
            script.pass(.milliseconds(500))
            script.loseAll()
        }
        #expect(script.takeActions() == [.refused(id, .storeUnreachable)])
        let again = script.want(key)
        script.pass(.seconds(1))
        script.reply(.isAlive(true)) { $0 == .keepAlive(LeaseID(1)) }
        script.answer(.held([Script.held(key, 19, home: Script.id)]))
        script.granted(20)
        #expect(script.takeActions() == [.granted(again)])
    }

    @Test("a session that wants the place of an earlier one here replaces its claim, in whichever state that is")
    func wantAgain() {
        var (script, _) = holding()
        let second = script.want(key, session: [2])
        #expect(script.changes == [.claim(Script.claim(key, session: [2]), lease: LeaseID(1), over: Revision(20))])
        script.granted(21)
        #expect(script.takeActions() == [.granted(second)])
        #expect(script.node.leases.leases[0].entries == 2)

        script.drop(second)
        let third = script.want(key, session: [3])
        script.answer(.released)
        #expect(script.changes == [.claim(Script.claim(key, session: [3]), lease: LeaseID(1), over: Revision(21))])
        script.answer(.held([]))
        script.granted(23)
        #expect(script.takeActions() == [.granted(third)])
        #expect(script.node.leases.leases[0].entries == 2)
    }

    @Test("a session that wants a place while the earlier one's claim is on its way gets it, and is granted once")
    func wantAgainWhileSent() {
        var script = Script.joined()
        let first = script.want(key)
        script.drop(first)
        let second = script.want(key, session: [2])
        #expect(script.changes.count == 1, "one change of a place is on its way at a time")
        script.granted(20)
        #expect(script.changes == [.claim(Script.claim(key, session: [2]), lease: LeaseID(1), over: Revision(20))])
        script.granted(21)
        #expect(script.takeActions() == [.granted(second)])
    }

    /// A node whose requests wait since one has failed.
    private func pausing(_ script: Script) -> Script {
        var script = script
        _ = script.want(Script.key(.tcp(1)))
        script.loseAll()
        #expect(!script.node.isStoreReachable && script.requests.isEmpty)
        return script
    }

    @Test("a claim that waits for its turn and is given back is removed, or not asked for at all if it is new")
    func dropWhileQueued() {
        var script = pausing(Script.joined())
        let new = script.want(key)
        script.drop(new)
        #expect(script.node.claims[key] == nil)

        (script, _) = holding()
        script = pausing(script)
        let second = script.want(key, session: [2])
        script.drop(second)
        script.drop(second)
        script.pass(.milliseconds(200))
        #expect(script.changes.contains(.release(key, epoch: Revision(20))))
    }

    @Test("a place that is wanted again while its claim or its removal waits for its turn is claimed once")
    func wantAgainWhileQueued() {
        for isRemoval in [true, false] {
            var (script, first) = holding()
            script = pausing(script)
            if isRemoval { script.drop(first) } else { _ = script.want(key, session: [2]) }
            let last = script.want(key, session: [3])
            script.pass(.milliseconds(200))
            let own = script.changes.filter { if case .claim(let claim, _, _) = $0 { claim.key == key } else { true } }
            #expect(own == [.claim(Script.claim(key, session: [3]), lease: LeaseID(1), over: Revision(20))])
            let answers = script.changes.map { _ in StoreAnswer.granted(epoch: Revision(30)) }
            script.reply(.answers(answers)) { if case .apply = $0 { true } else { false } }
            #expect(script.takeActions().contains(.granted(last)))
            #expect(script.node.claims.count == 2 && script.node.leases.leases[0].entries == 3)
        }
    }

    @Test("members of a group share a place, and a member of another group does not")
    func group() {
        func member(_ number: UInt8, _ group: String) -> ClaimKey {
            let member = ClaimMember(client: [number], instance: [])
            return ClaimKey(.tcp(8022), owner: ClaimOwner(group: group, proof: [1]), member: member)
        }
        var script = Script.joined()
        let ids = [script.want(member(1, "a")), script.want(member(2, "a"))]
        script.granted(20)
        script.granted(21)
        #expect(script.takeActions() == ids.map { .granted($0) })
        let other = script.want(member(3, "b"))
        let holders = [1, 2].map { Script.held(member($0, "a"), 19 + Int64($0), home: Script.id) }
        script.answer(.held(holders))
        #expect(script.takeActions() == [.refused(other, .held(holders[0]))])
    }

    @Test("a place that an earlier session here is giving back is free for another client")
    func leaving() {
        var (script, id) = holding()
        script.drop(id)
        script.loseAll()
        let other = Script.key(client: 2)
        let second = script.want(other)
        script.pass(.milliseconds(200))
        // Whichever comes first, the other client is not refused.
        for _ in 0..<4 where script.takeActions().isEmpty {
            guard let change = script.changes.first else { break }
            if case .release = change {
                script.answer(.released)
            } else {
                script.answer(.held([Script.held(key, 20, home: Script.id)]))
            }
            if script.node.claims.count == 1, script.changes.count == 1 {
                script.granted(30)
                #expect(script.takeActions() == [.granted(second)])
                return
            }
        }
        Issue.record("the other client is not granted the place")
    }

    @Test("a request has at most 60 changes, each of another place, and at most 4 requests are on their way")
    func batches() {
        var script = Script.joined()
        _ = script.want(key)
        _ = script.want(Script.key(client: 2))
        for port in 1...400 { _ = script.want(Script.key(.tcp(UInt16(port)))) }
        let sizes = script.requests.map { entry -> Int in
            if case .apply(let changes) = entry.request { changes.count } else { 0 }
        }
        #expect(sizes == [1, 1, 1, 1], "what comes one by one is sent one by one")
        script.granted(20)
        guard case .apply(let batch) = script.requests.last?.request else {
            Issue.record("no request")
            return
        }
        #expect(batch.count == StoreLimits.changes)
        let places = batch.compactMap { change -> ClaimPlace? in
            if case .claim(let claim, _, _) = change { claim.key.place } else { nil }
        }
        #expect(Set(places).count == batch.count)
    }

    @Test("a server has at most as many claims as its limit, and the next one is refused")
    func limit() {
        var limits = ClusterLimits()
        limits.claims = 2
        var script = Script.joined(limits)
        let first = script.want(key)
        _ = script.want(Script.key(.tcp(2)))
        #expect(script.takeActions().isEmpty)
        let third = script.want(Script.key(.tcp(3)))
        #expect(script.takeActions() == [.refused(third, .limit(2))])
        let again = script.want(key)
        #expect(script.takeActions().isEmpty, "a place that the server has counts once")
        script.drop(first)
        script.drop(again)
        script.answer(.held([Script.held(Script.key(client: 9), 3)]))
        let fourth = script.want(Script.key(.tcp(3)))
        #expect(!script.takeActions().contains(.refused(fourth, .limit(2))))
    }

    @Test("claims that come and go while the store is away leave nothing behind")
    func flood() {
        var script = Script.joined()
        script.pass(.seconds(3))
        script.loseAll()
        for number in 0..<20_000 {
            let id = script.want(Script.key(.tcp(UInt16(number))))
            script.drop(id)
        }
        #expect(script.node.claims.count <= 4)
        #expect(script.node.claims.waitingCount < 200 && script.node.claims.deadlineCount < 200)
    }
}
