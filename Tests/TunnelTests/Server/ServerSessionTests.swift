import Mux
import NIOCore
import NetworkAddress
import Testing

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

@Suite("A session at the server")
struct ServerSessionTests {
    // MARK: Ports

    @Test("A request for a port is answered with the bound port")
    func bind() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        #expect(try rig.sent() == ["BOUND 0 at 8022"])
        #expect(rig.session.statistics.map(\.tunnel) == [0] && rig.log.count("port is public") == 1)
    }

    @Test("A request outside the client's ports is refused without a bind")
    func bindOutsideRights() throws {
        let rig = ServerRig(rights: { $0.allowedPorts = PortRanges(ranges: [8_000...8_010]) })
        try rig.bind(9_000)
        #expect(try rig.sent() == ["UNBOUND 0: port 9000 is not allowed here; allowed: 8000-8010"])
        #expect(rig.binder.asked.isEmpty && rig.log.count("port refused") == 1)
    }

    @Test("A tunnel beyond the client's limit is refused, and pending binds count")
    func tunnelLimit() throws {
        let rig = ServerRig(rights: { $0.maximumTunnels = 1 })
        rig.binder.bindsAtOnce = false
        try rig.bind(8_022)
        try rig.bind(8_023, tunnel: 1)
        #expect(try rig.sent() == ["UNBOUND 1: this client may have 1 tunnels"])
    }

    @Test("A malformed list of addresses refuses the tunnel")
    func unreadableList() throws {
        let rig = ServerRig()
        var requested = RequestedVisitorLimits()
        requested.allow = "somewhere"
        try rig.bind(8_022, requested)
        #expect(try rig.sent() == ["UNBOUND 0: allow and deny must be blocks such as 10.0.0.0/8"])
    }

    @Test("Of two sessions of one process, the older one keeps its port if it answers a PING")
    func takeOverRefused() throws {
        let old = ServerRig()
        try old.bind(8_022)
        let new = ServerRig(beside: old)
        _ = old.carrier.takeFrames()
        try new.bind(8_022)
        let ping = try #require(old.carrier.takeFrames().first { $0.header.type == .ping })
        try old.receive(PeerFrame(0x31, 0, ping.payload))
        #expect(try new.sent() == ["UNBOUND 0: port 8022 is held by another running process of alice"])
        #expect(!old.isEnded)
    }

    @Test("Of two sessions of one process, the older one ends if it is silent for 2 s, and loses its port")
    func takeOver() throws {
        let old = ServerRig()
        try old.bind(8_022)
        let new = ServerRig(beside: old)
        try new.bind(8_022)
        new.advance(1.9)
        #expect(try new.sent().isEmpty && !old.isEnded)
        new.advance(0.1)
        #expect(old.isEnded && old.isReleased)
        #expect(try old.sent().last == "GOAWAY: the client has connected anew")
        #expect(try new.sent() == ["BOUND 0 at 8022"])
    }

    @Test("Of two sessions of one process, the older one loses its port at once if it has no carrier")
    func takeOverWithoutCarrier() throws {
        let old = ServerRig()
        try old.bind(8_022)
        old.loseCarrier()
        let new = ServerRig(beside: old)
        try new.bind(8_022)
        #expect(old.isReleased)
        #expect(try new.sent() == ["BOUND 0 at 8022"])
    }

    // MARK: A change of rights

    @Test("Rights that no longer cover a port close it with a reason, and its stream and other ports stay")
    func rightsNarrowed() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        try rig.bind(8_023, tunnel: 1)
        let visitor = try rig.visitor()
        #expect(try rig.sent() == ["BOUND 0 at 8022", "BOUND 1 at 8023", "OPEN 2 for 203.0.113.9:40001"])
        rig.update(rights: { $0.allowedPorts = PortRanges(ranges: [8_023...8_023]) })
        #expect(try rig.sent() == ["UNBOUND 0: port 8022 is not allowed here; allowed: 8023"])
        #expect(rig.binder.listeners.map(\.isClosed) == [true, false] && !visitor.isClosed)
        #expect(rig.resources.ports.count(of: [1]) == (1, 1))
    }

    @Test("A lower limit of tunnels keeps the lowest numbers")
    func fewerTunnels() throws {
        let rig = ServerRig()
        for tunnel in UInt16(0)..<3 { try rig.bind(8_020 + tunnel, tunnel: tunnel) }
        _ = try rig.sent()
        rig.update(rights: { $0.maximumTunnels = 1 })
        #expect(
            try rig.sent() == [
                "UNBOUND 1: this client may have 1 tunnels", "UNBOUND 2: this client may have 1 tunnels",
            ]
        )
    }

    @Test("A changed public address closes ports on the old one")
    func otherAddress() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        _ = try rig.sent()
        rig.update({ $0.publicAddress = "192.0.2.2" })
        #expect(try rig.sent() == ["UNBOUND 0: this client may not have the port on these addresses any more"])
    }

    @Test("Rights that change during a bind close the port as soon as it is bound")
    func rightsNarrowedWhileBinding() throws {
        let rig = ServerRig()
        rig.binder.bindsAtOnce = false
        try rig.bind(8_022)
        rig.update(rights: { $0.allowedPorts = PortRanges(ranges: [8_023...8_023]) })
        rig.binder.complete()
        #expect(try rig.sent() == ["UNBOUND 0: port 8022 is not allowed here; allowed: 8023"])
        #expect(rig.binder.listeners.map(\.isClosed) == [true] && rig.resources.ports.count(of: [1]) == (0, 0))
    }

    @Test("New limits of visitors apply to the next visitor, and present ones stay")
    func visitorLimits() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let first = try rig.visitor()
        rig.update({ $0.visitors.connections = 1 })
        let second = try rig.visitor()
        #expect(!first.isClosed && second.farSide == "<RST>")
        #expect(rig.log.count("changed=visitor_connections") == 1)
    }

    @Test("A changed limit of streams is logged, and applies from the next session on")
    func streamNumber() {
        let rig = ServerRig()
        rig.update(rights: { $0.maximumStreams = 5 })
        rig.update(rights: { $0.maximumStreams = 5 })
        #expect(rig.log.count("holds from its next session on") == 1)
    }

    // MARK: Drain and end

    @Test("A drain without streams ends the session at once, and releases its ports")
    func drainIdle() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        #expect(rig.isEnded && rig.isReleased && rig.binder.listeners.map(\.isClosed) == [true])
        #expect(try rig.sent().last == "GOAWAY: the server is stopping")
    }

    @Test("A drain lets a stream finish, accepts no new one, and ends the session with the last stream")
    func drain() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        try rig.receive(.accept(2))
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        #expect(!rig.isEnded && !visitor.isClosed && rig.session.isDraining)
        try rig.bind(8_023, tunnel: 1)
        #expect(try rig.sent().last == "UNBOUND 1: the server is stopping")
        visitor.farSideSendsFIN()
        try rig.receive(.end(2))
        #expect(rig.isEnded && rig.isReleased)
    }

    @Test("A carrier that is lost during a drain ends the session")
    func drainWithoutCarrier() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        rig.loseCarrier()
        #expect(rig.isEnded && rig.isReleased && visitor.farSide == "<RST>")
    }

    @Test("A drain ends a session without a carrier at once")
    func drainAfterLoss() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        rig.loseCarrier()
        #expect(!rig.isEnded)
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        #expect(rig.isEnded && visitor.farSide == "<RST>")
    }

    @Test("An end is reported after the ports are released")
    func end() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        for listener in rig.binder.listeners { listener.closesSlowly = true }
        var isDone = false
        rig.session.end(Refusal(.goingAway, "kicked")).assumeIsolated().whenSuccess { isDone = true }
        #expect(rig.isEnded && !rig.isReleased && !isDone)
        rig.binder.listeners.first?.finishClosing()
        rig.loop.run()
        #expect(rig.isReleased && isDone)
    }

    @Test("After a client's GOAWAY its streams continue, and the session ends with the last one")
    func clientGoesAway() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        try rig.receive(.accept(2), .goAway())
        #expect(!rig.isEnded && rig.binder.listeners.map(\.isClosed) == [true])
        visitor.farSideSendsFIN()
        try rig.receive(.end(2))
        #expect(rig.isEnded)
    }

    // MARK: Expiry

    @Test("A session ends with a reason when the client's access expires")
    func expiry() throws {
        let rig = ServerRig(rights: { $0.expires = 1_000_010 })
        rig.advance(9.9)
        #expect(!rig.isEnded)
        rig.advance(0.1)
        #expect(rig.isEnded && rig.isReleased)
        #expect(try rig.sent() == ["GOAWAY: this client's access has expired; ask the server's operator"])
    }

    @Test("A reload can move the expiry")
    func expiryMoved() {
        let rig = ServerRig(rights: { $0.expires = 1_000_010 })
        rig.update(rights: { $0.expires = 1_000_020 })
        rig.advance(10)
        #expect(!rig.isEnded)
        rig.advance(10)
        #expect(rig.isEnded)
    }

    // MARK: Carriers

    @Test("A session without a carrier reports its deadline, and a resume clears it")
    func loss() throws {
        let rig = ServerRig { $0.limits.grace = .seconds(120) }
        rig.loseCarrier()
        #expect(rig.handle.waitsUntil == ServerRig.clock(rig.loop).now() + .seconds(120))
        rig.advance(3)
        #expect(rig.resume(epoch: 1, received: 0) == nil)
        #expect(rig.handle.waitsUntil == nil && rig.session.carriers.count == 2)
        #expect(rig.session.carriers.origin == "198.51.100.8:50001")
        #expect(rig.log.count("without_carrier=3.0 s") == 1)
        #expect(try rig.sent() == ["\(FrameType.resumed) 0"])
    }

    @Test("Only a RESUME with a higher epoch is accepted, and otherwise the present carrier stays")
    func lowerEpoch() throws {
        let rig = ServerRig()
        #expect(rig.resume(epoch: 5, received: 0) == nil)
        let present = rig.carrier
        for epoch: UInt64 in [5, 4, 0] {
            let refusal = rig.resume(epoch: epoch, received: 0)
            #expect(refusal?.code == .replaced && refusal?.text == "a newer carrier has been here")
        }
        #expect(rig.carrier === present && present.end == nil && rig.session.carriers.count == 2)
        #expect(rig.resume(epoch: 6, received: 0) == nil)
        #expect(present.isDisowned && present.end == "close 1001")
    }

    @Test("An ended session accepts no carrier")
    func resumeAfterEnd() {
        let rig = ServerRig()
        _ = rig.session.end(Refusal(.goingAway, "kicked"))
        #expect(rig.resume(epoch: 1, received: 0)?.text == "the session has just ended")
    }

    // MARK: Stream numbers

    @Test("A session whose stream numbers run out gives up its ports, and ends after the drain timeout")
    func numbersRunOut() throws {
        let rig = ServerRig { $0.drainTimeout = .seconds(30) }
        try rig.bind(8_022)
        rig.session.sessionLoop.session.streams.next = StreamID(.max - StreamID.reserve + 1)
        let visitor = try rig.visitor()
        let reason = "this session has used up its stream numbers; begin another"
        #expect(try rig.sent().contains("GOAWAY: \(reason)"))
        #expect(!rig.isEnded && rig.session.isDraining && !visitor.isClosed)
        let next = ServerRig(beside: rig, number: 2)
        try next.bind(8_022)
        #expect(try next.sent().contains("BOUND 0 at 8022") && !rig.isEnded && !visitor.isClosed)
        rig.advance(29.9)
        #expect(!rig.isEnded)
        rig.advance(0.1)
        #expect(rig.isEnded && rig.isReleased && visitor.farSide == "<RST>")
    }
}
