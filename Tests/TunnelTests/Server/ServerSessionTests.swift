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

    @Test("a request for a port is answered with the port that is bound")
    func bind() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        #expect(try rig.sent() == ["BOUND 0 at 8022"])
        #expect(rig.session.statistics.map(\.tunnel) == [0] && rig.log.count("port is public") == 1)
    }

    @Test("a request outside the client's ports is refused before anything is bound")
    func bindOutsideRights() throws {
        let rig = ServerRig(rights: { $0.allowedPorts = PortRanges(ranges: [8_000...8_010]) })
        try rig.bind(9_000)
        #expect(try rig.sent() == ["UNBOUND 0: port 9000 is not allowed here; allowed: 8000-8010"])
        #expect(rig.binder.asked.isEmpty && rig.log.count("port refused") == 1)
    }

    @Test("a tunnel past the client's number is refused, and ports that are being bound count")
    func tunnelLimit() throws {
        let rig = ServerRig(rights: { $0.maximumTunnels = 1 })
        rig.binder.bindsAtOnce = false
        try rig.bind(8_022)
        try rig.bind(8_023, tunnel: 1)
        #expect(try rig.sent() == ["UNBOUND 1: this client may have 1 tunnels"])
    }

    @Test("a list of addresses that cannot be read refuses the tunnel")
    func unreadableList() throws {
        let rig = ServerRig()
        var wishes = RequestedVisitorLimits()
        wishes.allow = "somewhere"
        try rig.bind(8_022, wishes)
        #expect(try rig.sent() == ["UNBOUND 0: allow and deny must be blocks such as 10.0.0.0/8"])
    }

    @Test("two sessions of one process: the older one answers a PING, and keeps its port")
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

    @Test("two sessions of one process: the older one is silent for 2 s, is ended, and loses its port")
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

    @Test("two sessions of one process: the older one has no carrier, and loses its port at once")
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

    @Test("rights that no longer cover a port close it with a reason; its stream continues and others stay public")
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

    @Test("fewer tunnels keep the first ones, by number")
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

    @Test("a public address that changes closes ports on the old one")
    func otherAddress() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        _ = try rig.sent()
        rig.update({ $0.publicAddress = "192.0.2.2" })
        #expect(try rig.sent() == ["UNBOUND 0: this client may not have the port on these addresses any more"])
    }

    @Test("rights that change while a port is being bound close it as soon as it is")
    func rightsNarrowedWhileBinding() throws {
        let rig = ServerRig()
        rig.binder.bindsAtOnce = false
        try rig.bind(8_022)
        rig.update(rights: { $0.allowedPorts = PortRanges(ranges: [8_023...8_023]) })
        rig.binder.complete()
        #expect(try rig.sent() == ["UNBOUND 0: port 8022 is not allowed here; allowed: 8023"])
        #expect(rig.binder.listeners.map(\.isClosed) == [true] && rig.resources.ports.count(of: [1]) == (0, 0))
    }

    @Test("new limits of visitors apply to the next one, and present ones stay")
    func visitorLimits() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let first = try rig.visitor()
        rig.update({ $0.visitors.connections = 1 })
        let second = try rig.visitor()
        #expect(!first.isClosed && second.farSide == "<RST>")
        #expect(rig.log.count("changed=visitor_connections") == 1)
    }

    @Test("a number of streams that changes is noted, and holds from the next session on")
    func streamNumber() {
        let rig = ServerRig()
        rig.update(rights: { $0.maximumStreams = 5 })
        rig.update(rights: { $0.maximumStreams = 5 })
        #expect(rig.log.count("holds from its next session on") == 1)
    }

    // MARK: Drain and end

    @Test("a drain without streams ends the session at once, and releases its ports")
    func drainIdle() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        #expect(rig.isEnded && rig.isReleased && rig.binder.listeners.map(\.isClosed) == [true])
        #expect(try rig.sent().last == "GOAWAY: the server is stopping")
    }

    @Test("a drain lets a stream finish, accepts nothing new, and ends the session with the last stream")
    func drain() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        try rig.receive(.accept(2))
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        #expect(!rig.isEnded && !visitor.isClosed && rig.session.isDraining)
        try rig.bind(8_023, tunnel: 1)
        #expect(try rig.sent().last == "UNBOUND 1: the server is stopping")
        visitor.bringsEnd()
        try rig.receive(.end(2))
        #expect(rig.isEnded && rig.isReleased)
    }

    @Test("a carrier that is lost during a drain is not waited for")
    func drainWithoutCarrier() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        rig.loseCarrier()
        #expect(rig.isEnded && rig.isReleased && visitor.farSide == "<RST>")
    }

    @Test("a drain of a session that has lost its carrier ends it at once")
    func drainAfterLoss() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        rig.loseCarrier()
        #expect(!rig.isEnded)
        _ = rig.session.drain(Refusal(.goingAway, "the server is stopping"))
        #expect(rig.isEnded && visitor.farSide == "<RST>")
    }

    @Test("an end is reported once the system has released the ports")
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

    @Test("a client that goes away keeps its streams, and the session ends with them")
    func clientGoesAway() throws {
        let rig = ServerRig()
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        try rig.receive(.accept(2), .goAway())
        #expect(!rig.isEnded && rig.binder.listeners.map(\.isClosed) == [true])
        visitor.bringsEnd()
        try rig.receive(.end(2))
        #expect(rig.isEnded)
    }

    // MARK: Expiry

    @Test("the client's access expires: the session ends with a reason")
    func expiry() throws {
        let rig = ServerRig(rights: { $0.expires = 1_000_010 })
        rig.advance(9.9)
        #expect(!rig.isEnded)
        rig.advance(0.1)
        #expect(rig.isEnded && rig.isReleased)
        #expect(try rig.sent() == ["GOAWAY: this client's access has expired; ask the server's operator"])
    }

    @Test("a reload that moves the expiry is followed")
    func expiryMoved() {
        let rig = ServerRig(rights: { $0.expires = 1_000_010 })
        rig.update(rights: { $0.expires = 1_000_020 })
        rig.advance(10)
        #expect(!rig.isEnded)
        rig.advance(10)
        #expect(rig.isEnded)
    }

    // MARK: Carriers

    @Test("a session without a carrier says until when it waits, and a resume ends that")
    func loss() throws {
        let rig = ServerRig { $0.limits.grace = .seconds(120) }
        rig.loseCarrier()
        #expect(rig.handle.waitsUntil == ServerRig.clock(rig.loop).now() + .seconds(120))
        rig.advance(3)
        #expect(rig.resume(epoch: 1, received: 0) == nil)
        #expect(rig.handle.waitsUntil == nil && rig.session.carriers.count == 2)
        #expect(rig.session.carriers.peer == "198.51.100.8:50001")
        #expect(rig.log.count("without_carrier=3.0 s") == 1)
        #expect(try rig.sent() == ["\(FrameType.resumed) 0"])
    }

    @Test("only a higher epoch brings a carrier: an equal or lower one is refused, and the present one stays")
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

    @Test("a session that has ended takes no carrier")
    func resumeAfterEnd() {
        let rig = ServerRig()
        _ = rig.session.end(Refusal(.goingAway, "kicked"))
        #expect(rig.resume(epoch: 1, received: 0)?.text == "the session has just ended")
    }

    // MARK: Stream numbers

    @Test("a session whose stream numbers run out drains, and is ended after the drain's timeout")
    func numbersRunOut() throws {
        let rig = ServerRig { $0.drainTimeout = .seconds(30) }
        try rig.bind(8_022)
        rig.session.sessionLoop.session.streams.next = StreamID(.max - StreamID.reserve + 1)
        let visitor = try rig.visitor()
        let reason = "this session has used up its stream numbers; begin another"
        #expect(try rig.sent().contains("GOAWAY: \(reason)"))
        #expect(!rig.isEnded && rig.session.isDraining && !visitor.isClosed)
        rig.advance(29.9)
        #expect(!rig.isEnded)
        rig.advance(0.1)
        #expect(rig.isEnded && rig.isReleased && visitor.farSide == "<RST>")
    }
}
