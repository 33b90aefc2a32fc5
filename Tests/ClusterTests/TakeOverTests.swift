import Mux
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

@Suite("Claims that another server has") struct TakeOverTests {
    private let key = ScriptedNode.key()

    /// A node that has asked the home of a claim with epoch 15 for its session.
    private func probing() throws -> (Script, ClusterNode.ClaimID, ClusterNode.ProbeID) {
        var script = Script.joined()
        let id = script.want(key)
        script.answer(.held([Script.held(key, 15)]))
        #expect(script.changes.isEmpty)
        let probe = try script.takeProbe()
        return (script, id, probe)
    }

    @Test("the home of the same process's claim is asked for its session")
    func asks() {
        var script = Script.joined()
        _ = script.want(key)
        script.answer(.held([Script.held(key, 15)]))
        let actions = script.takeActions()
        guard case .probe(_, let home, let session) = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(actions.count == 1 && home == Script.peerRecord && session == [9])
    }

    @Test("a session that is gone loses its claim to the newer one, whose request names the epoch")
    func gone() throws {
        var (script, id, probe) = try probing()
        script.with { $0.answered(probe, isAlive: false, now: $1) }
        #expect(script.changes == [.claim(Script.claim(key), lease: LeaseID(1), over: Revision(15))])
        script.granted(20)
        #expect(script.takeActions() == [.granted(id)])
        script.with { $0.answered(probe, isAlive: true, now: $1) }
        #expect(script.takeActions().isEmpty, "a second answer changes nothing")
    }

    @Test("a session that lives keeps its claim")
    func alive() throws {
        var (script, id, probe) = try probing()
        script.with { $0.answered(probe, isAlive: true, now: $1) }
        #expect(script.takeActions() == [.refused(id, .heldBySame(Script.held(key, 15)))])
        script.with { $0.answered(probe, isAlive: false, now: $1) }
        #expect(script.changes.isEmpty && script.node.claims.count == 0)
    }

    @Test("a home that does not answer within 2 s loses the claim")
    func silent() throws {
        var (script, _, _) = try probing()
        script.pass(.milliseconds(1_999))
        #expect(script.changes.isEmpty)
        script.pass(.milliseconds(1))
        #expect(script.changes == [.claim(Script.claim(key), lease: LeaseID(1), over: Revision(15))])
    }

    @Test("a home that is not known is looked for in the store: it is asked if it is there, and not if it is gone")
    func unknownHome() throws {
        for isThere in [true, false] {
            var script = Script.joined()
            script.event(11, .serverGone(Script.peer), scope: .servers)
            let id = script.want(key)
            script.answer(.held([Script.held(key, 15)]))
            #expect(script.requests.map(\.request) == [.read(.servers)] && script.takeActions().isEmpty)
            var snapshot = StoreSnapshot(revision: Revision(16))
            snapshot.servers = isThere ? [Script.record, Script.peerRecord] : [Script.record]
            script.reply(.snapshot(snapshot)) { $0 == .read(.servers) }
            guard isThere else {
                #expect(script.changes == [.claim(Script.claim(key), lease: LeaseID(1), over: Revision(15))])
                continue
            }
            let probe = try script.takeProbe()
            script.with { $0.answered(probe, isAlive: true, now: $1) }
            #expect(script.takeActions() == [.refused(id, .heldBySame(Script.held(key, 15)))])
        }
    }

    @Test("a home that cannot be looked for within 2 s loses nothing: the claim is tried again")
    func homeNotFound() {
        var script = Script.joined()
        script.event(11, .serverGone(Script.peer), scope: .servers)
        let id = script.want(key)
        script.answer(.held([Script.held(key, 15)]))
        script.loseAll()
        script.pass(.seconds(2))
        script.loseAll()
        script.pass(.seconds(1))
        #expect(script.changes == [.claim(Script.claim(key), lease: LeaseID(1), over: nil)])
        script.drop(id)
    }

    @Test("the server from which a name was taken over is told, and again if the link to it was broken")
    func notices() throws {
        let name = Script.key(.name("a.example"), part: "http:/")
        var script = Script.joined()
        script.with { $0.link(to: Script.peer, isUp: true, now: $1) }
        let id = script.want(name)
        script.answer(.held([Script.held(name, 15)]))
        script.pass(.seconds(2))
        script.granted(20)
        #expect(script.takeActions().suffix(2) == [.taken(Script.peerRecord, name), .granted(id)])
        script.with { $0.link(to: Script.peer, isUp: false, now: $1) }
        script.now = script.now + .milliseconds(29_999)
        script.with { $0.link(to: Script.peer, isUp: true, now: $1) }
        #expect(script.takeActions().contains(.taken(Script.peerRecord, name)))
        script.now = script.now + .seconds(30)
        script.with { $0.link(to: Script.peer, isUp: true, now: $1) }
        #expect(!script.takeActions().contains(.taken(Script.peerRecord, name)), "it has arrived long ago")
        #expect(script.node.notices.isEmpty)
    }

    @Test("the server is told also if the claim is not wanted any more, or its answer was lost")
    func noticesOfDropped() throws {
        let name = Script.key(.name("a.example"), part: "http:/")
        for isLost in [true, false] {
            var script = Script.joined()
            script.with { $0.link(to: Script.peer, isUp: true, now: $1) }
            let id = script.want(name)
            script.answer(.held([Script.held(name, 15)]))
            let probe = try script.takeProbe()
            script.with { $0.answered(probe, isAlive: false, now: $1) }
            script.drop(id)
            if isLost {
                script.loseAll()
                script.pass(.milliseconds(200))
                script.answer(.held([Script.held(name, 20, home: Script.id)]))
            } else {
                script.granted(20)
            }
            #expect(script.takeActions() == [.taken(Script.peerRecord, name)])
            #expect(script.changes == [.release(name, epoch: Revision(20))])
        }
    }

    @Test("a server that drains takes nothing over")
    func draining() throws {
        var (script, id, probe) = try probing()
        script.with { $0.drain(now: $1) }
        script.granted(16)
        script.with { $0.answered(probe, isAlive: false, now: $1) }
        #expect(script.takeActions() == [.refused(id, .heldBySame(Script.held(key, 15)))] && script.requests.isEmpty)
    }

    @Test("at most 1,000 notices are kept for a server, and at most 16 places are read at a time for them")
    func bounds() throws {
        var script = Script.joined()
        var last = ClusterNode.ClaimID(number: 0)
        for number in 0..<1_001 {
            let name = Script.key(.name("\(number).example"), part: "http:/")
            last = script.want(name)
            if script.changes.isEmpty { script.reply(.lease(LeaseID(2))) { $0 == .grantLease(seconds: 10) } }
            script.answer(.held([Script.held(name, 15)]))
            let probe = try script.takeProbe()
            script.with { $0.answered(probe, isAlive: false, now: $1) }
            script.granted(20)
        }
        #expect(script.takeActions() == [.granted(last)], "there is no link")
        #expect(script.node.notices[Script.peer]?.count == 1_000)
        for number in 0..<17 {
            script.with { $0.taken(Script.key(.name("\(number).example"), part: "http:/"), now: $1) }
        }
        #expect(script.requests.count == 16)
        script.reply(.snapshot(StoreSnapshot(revision: Revision(1)))) { if case .read = $0 { true } else { false } }
        #expect(script.requests.count == 16)
    }

    @Test("a server that is told of a take-over reads the name, and loses it, keeps it, or puts it back")
    func told() {
        let name = Script.key(.name("a.example"), part: "http:/")
        for stored in [[Script.held(name, 25)], [Script.held(name, 20, home: Script.id)], []] {
            var script = Script.joined()
            let id = script.want(name)
            script.granted(20)
            _ = script.takeActions()
            script.with { $0.taken(name, now: $1) }
            #expect(script.requests.map(\.request) == [.read(.place(name.place))])
            var snapshot = StoreSnapshot(revision: Revision(30))
            snapshot.claims = stored
            script.reply(.snapshot(snapshot)) { $0 == .read(.place(name.place)) }
            switch stored.first?.claim.home {
            case Script.peer: #expect(script.takeActions() == [.lost(id, to: Script.held(name, 25))])
            case Script.id: #expect(script.takeActions().isEmpty && script.requests.isEmpty)
            default: #expect(script.changes == [.claim(Script.claim(name), lease: LeaseID(1), over: nil)])
            }
        }
        var script = Script.joined()
        script.with { $0.taken(name, now: $1) }
        script.with { $0.taken(key, now: $1) }
        #expect(script.requests.isEmpty, "a claim that this server does not have costs nothing")
    }

    @Test("before the servers are known, nothing is claimed: every home would look gone")
    func unknownServers() {
        var script = Script()
        script.with { $0.start(now: $1) }
        _ = script.want(key)
        script.reply(.lease(LeaseID(1))) { $0 == .grantLease(seconds: 10) }
        #expect(script.changes == [.server(Script.record, lease: LeaseID(1))])
        script.reply(.snapshot(StoreSnapshot(revision: Revision(3)))) { $0 == .read(.servers) }
        #expect(script.changes.count == 2)
    }

    @Test("if another server was faster, the fence decides and its session is asked for anew")
    func raced() throws {
        var (script, id, probe) = try probing()
        script.with { $0.answered(probe, isAlive: false, now: $1) }
        script.answer(.held([Script.held(key, 18, session: [8])]))
        let second = try script.takeProbe()
        script.with { $0.answered(second, isAlive: true, now: $1) }
        #expect(script.takeActions() == [.refused(id, .heldBySame(Script.held(key, 18, session: [8])))])
    }

    @Test("a claim that is given back while the home is asked leaves the other server's claim alone")
    func dropped() throws {
        var (script, id, probe) = try probing()
        script.drop(id)
        script.with { $0.answered(probe, isAlive: false, now: $1) }
        #expect(script.changes.isEmpty && script.node.claims.count == 0 && script.node.probes.isEmpty)
    }

    @Test("a claim that is given back before it was taken over leaves the other server's claim alone")
    func droppedBeforeTakeOver() throws {
        var (script, id, probe) = try probing()
        script.pass(.milliseconds(1_500))
        // Another request fails, so that the take-over waits.
        _ = script.want(Script.key(.tcp(1)))
        script.loseAll()
        script.with { $0.answered(probe, isAlive: false, now: $1) }
        script.drop(id)
        script.pass(.milliseconds(300))
        #expect(script.changes.allSatisfy { if case .release = $0 { false } else { true } })
        #expect(script.node.claims[key] == nil)
    }

    @Test("a place that is wanted again while the home is asked is claimed for the newer session")
    func wantedAgain() throws {
        var (script, _, probe) = try probing()
        let second = script.want(key, session: [2])
        script.with { $0.answered(probe, isAlive: true, now: $1) }
        #expect(script.takeActions().isEmpty)
        script.answer(.held([Script.held(key, 15)]))
        let next = try script.takeProbe()
        script.with { $0.answered(next, isAlive: false, now: $1) }
        script.granted(20)
        #expect(script.takeActions() == [.granted(second)])
    }

    @Test("a claim whose home is still asked after 5 s is asked to come back")
    func timeout() throws {
        var limits = ClusterLimits()
        limits.probeTimeout = .seconds(60)
        var script = Script.joined(limits)
        let id = script.want(key)
        script.answer(.held([Script.held(key, 15)]))
        _ = try script.takeProbe()
        script.pass(.seconds(5))
        #expect(script.takeActions() == [.refused(id, .storeUnreachable)] && script.node.claims.count == 0)
        script.pass(.seconds(60))
        #expect(script.changes.isEmpty && script.node.probes.isEmpty)
    }

    // MARK: Lost

    @Test("a granted claim is lost when the watch reports a higher epoch of another server")
    func lostByEvent() {
        var script = Script.joined()
        let id = script.want(key)
        script.granted(20)
        _ = script.takeActions()
        script.event(15, .claim(Script.held(key, 15)))
        #expect(script.takeActions() == [.portChanged(.tcp(8022))], "an older epoch takes nothing")
        script.event(25, .claim(Script.held(key, 25)))
        #expect(script.takeActions().contains(.lost(id, to: Script.held(key, 25))))
        #expect(script.node.claims.count == 0 && script.node.leases.leases[0].entries == 1)
        script.drop(id)
        #expect(script.changes.isEmpty)
    }

    @Test("a claim is lost if the watch has reported another server's higher epoch before the answer came")
    func lostBeforeAnswer() {
        var script = Script.joined()
        let id = script.want(key)
        script.event(21, .claim(Script.held(key, 21)))
        _ = script.takeActions()
        script.granted(20)
        #expect(script.takeActions() == [.granted(id), .lost(id, to: Script.held(key, 21))])
    }

    @Test("a name is lost when a read of it shows another server's higher epoch")
    func lostByRead() {
        let name = Script.key(.name("a.example"), part: "http:/")
        var script = Script.joined()
        let id = script.want(name)
        script.granted(20)
        _ = script.takeActions()
        _ = script.find(name.place)
        var snapshot = StoreSnapshot(revision: Revision(30))
        snapshot.claims = [Script.held(name, 25)]
        script.reply(.snapshot(snapshot)) { $0 == .read(.place(name.place)) }
        #expect(script.takeActions().contains(.lost(id, to: Script.held(name, 25))))
    }

    @Test("after its lease has ended, a claim is put back, or is lost if another server or client has it now")
    func putBack() {
        for other in [nil, key, Script.key(client: 2)] {
            var script = Script.joined()
            let id = script.want(key)
            script.granted(20)
            _ = script.takeActions()
            script.pass(.seconds(3))
            script.reply(.isAlive(false)) { $0 == .keepAlive(LeaseID(1)) }
            script.reply(.lease(LeaseID(2))) { $0 == .grantLease(seconds: 10) }
            #expect(
                script.changes == [
                    .server(Script.record, lease: LeaseID(2)), .claim(Script.claim(key), lease: LeaseID(2), over: nil),
                ]
            )
            if let other {
                script.answer(.granted(epoch: Revision(30)), .held([Script.held(other, 29)]))
                #expect(script.takeActions() == [.lost(id, to: Script.held(other, 29))])
                #expect(script.node.leases.leases[0].entries == 1)
            } else {
                script.answer(.granted(epoch: Revision(30)), .granted(epoch: Revision(31)))
                #expect(script.takeActions().isEmpty, "the session has noticed nothing")
                #expect(script.node.leases.leases[0].entries == 2)
            }
        }
    }

    @Test("a granted claim that the store has lost is put back as soon as the watch reports it")
    func removed() {
        var script = Script.joined()
        _ = script.want(key)
        script.granted(20)
        script.event(15, .claimGone(key))
        #expect(script.changes.isEmpty, "it was removed before it was granted")
        script.event(25, .claimGone(key))
        #expect(script.changes == [.claim(Script.claim(key), lease: LeaseID(1), over: nil)])
        script.answer(.leaseEnded)
        script.reply(.lease(LeaseID(2))) { $0 == .grantLease(seconds: 10) }
        #expect(script.changes.count == 2)
    }
}
