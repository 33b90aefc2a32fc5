import NIOCore
import Testing

@testable import Mux

/// Ports, floods, GOAWAY and the end of a session (protocol page, sections 2, 8 and 9).
@Suite struct SessionRuleTests {
    @Test("M9 streams are opened up to the limit, and the next is reset without state", arguments: [true, false])
    func streams(byOpening: Bool) throws {
        let limits = limits {
            $0.streams = byOpening ? 100 : 3
            $0.opening = byOpening ? 3 : 100
        }
        var client = session(.client, limits)
        #expect(client.kind(of: openFrame(2), openFrame(4), openFrame(6)) == nil)
        #expect(client.actions().count == 3)
        #expect(client.kind(of: openFrame(8)) == nil)
        #expect(client.actions().isEmpty && client.streamCount == 3)
        #expect(client.sent() == ["reset 8"])
        var server = session(.server, limits)
        for _ in 0..<3 {
            #expect(server.hasRoom)
            #expect(server.open(visit, now: .start) != nil)
        }
        #expect(!server.hasRoom && server.open(visit, now: .start) == nil)
        if byOpening { #expect(server.kind(of: frame(.accept, 2)) == nil) } else { server.reset(two, .busy) }
        #expect(server.hasRoom)
    }

    @Test("M9 a peer that repeatedly opens streams beyond the limit is cut off")
    func openFlood() {
        var client = session(.client, limits { $0.streams = 1 })
        #expect(client.kind(of: openFrame(2)) == nil)
        for number in 2...201 { #expect(client.kind(of: openFrame(UInt32(number) * 2)) == nil) }
        #expect(client.kind(of: openFrame(500)) == .flood)
    }

    @Test("M9 a server opens no stream while control frames wait for the carrier")
    func openWhileStalled() throws {
        var server = session(.server, limits { $0.waitingControl = 100 })
        var opened = 0
        while let id = server.open(visit, now: .start) {
            opened += 1
            server.reset(id, .connectionReset)
        }
        #expect(opened == 26, "two frames each, until more than half the bound waits")
        _ = server.frames()
        #expect(server.hasRoom)
    }

    @Test("M23 twenty pings in ten seconds are answered, the next ends the session")
    func pingFlood() {
        var server = session(.server)
        for number in 0..<20 {
            #expect(server.kind(of: frame(.ping, number: UInt64(number))) == nil)
        }
        #expect(server.frames().map(\.number) == Array(0..<20))
        #expect(server.kind(of: frame(.ping, number: 0), now: .at(.seconds(8))) == .flood)
        var slowPeer = session(.server)
        for number in 0..<1_000 {
            #expect(slowPeer.kind(of: frame(.ping, number: 1), now: .at(.milliseconds(527 * number))) == nil)
        }
    }

    @Test(
        "M13 M18 M27 tolerated anomalies are counted: 200 in ten seconds pass, one more ends the session",
        arguments: 0..<4
    )
    func glitches(what: Int) throws {
        var server = try serverWithStream()
        func anomaly() -> InboundFrame {
            switch what {
            case 0: frame(.data, 2)
            case 1: frame(.credit, 2, number: 262_144)
            case 2: frame(.pong, number: 1)
            default: frame(.ack, number: 0)
            }
        }
        for _ in 0..<200 { #expect(server.kind(of: anomaly()) == nil) }
        var later = server
        #expect(server.kind(of: anomaly(), now: .at(.seconds(8))) == .flood)
        for _ in 0..<200 { #expect(later.kind(of: anomaly(), now: .at(.seconds(10))) == nil) }
        #expect(later.kind(of: anomaly(), now: .at(.seconds(10))) == .flood)
    }

    @Test("M13 a peer that provokes answers and does not read them is cut off")
    func waitingControl() {
        var client = session(.client, limits { $0.waitingControl = 50 })
        client.drain(Refusal(.goingAway, ""))
        for number in 1...50 { #expect(client.kind(of: openFrame(UInt32(number) * 2)) == nil) }
        #expect(client.kind(of: openFrame(1_000)) == .flood)
    }

    @Test("M30 tunnels are bound up to the limit, and the next is refused until one is released")
    func tunnels() {
        var server = session(.server)
        #expect(MuxLimits().tunnels == 256)
        for tunnel in 0..<UInt16(256) { #expect(server.kind(of: bindFrame(tunnel)) == nil) }
        #expect(server.actions().count == 256)
        #expect(server.kind(of: bindFrame(256)) == nil)
        #expect(server.actions().isEmpty)
        #expect(server.sent() == ["unbound"])
        server.unbound(3, Refusal(.portInUse, "taken"))
        server.unbound(3, Refusal(.portInUse, "taken"))
        #expect(server.sent() == ["unbound"], "a BIND is answered once")
        #expect(server.kind(of: bindFrame(256)) == nil)
        #expect(server.actions() == [.bind(BindRequest(tunnel: 256, address: "", port: 0))])
        #expect(server.kind(of: bindFrame(257)) == nil)
    }

    @Test("M30 endless BINDs are a flood, whatever the answers", arguments: [true, false])
    func bindFlood(isAnswered: Bool) {
        var server = session(.server)
        var asked = 0
        while asked < 2_000 {
            guard server.kind(of: bindFrame(UInt16(isAnswered ? 0 : asked))) == nil else { break }
            asked += 1
            if isAnswered { server.unbound(0, Refusal(.portInUse, "")) }
        }
        #expect(asked == 1_280)
    }

    @Test("M30 one tunnel has one port")
    func oneTunnelOnePort() {
        var server = session(.server)
        #expect(server.kind(of: bindFrame(1), bindFrame(1)) == .unexpectedFrame)
        let bound = Binding(tunnel: 1, address: "0.0.0.0", port: 9)
        var client = session(.client)
        #expect(client.kind(of: bound.frame.arrived) == .unexpectedFrame, "the client did not ask for it")
        #expect(client.kind(of: Refusal(.busy, "").frame(.unbound, tunnel: 1).arrived) == .unexpectedFrame)
        client.bind(BindRequest(tunnel: 1, address: "", port: 0))
        client.bind(BindRequest(tunnel: 1, address: "", port: 0))
        #expect(client.sent() == ["bind"])
        #expect(client.kind(of: bound.frame.arrived) == nil)
        #expect(client.actions() == [.bound(bound)])
        #expect(client.kind(of: bound.frame.arrived) == .unexpectedFrame)
        #expect(client.kind(of: Refusal(.goingAway, "").frame(.unbound, tunnel: 1).arrived) == nil)
        #expect(client.actions() == [.unbound(tunnel: 1, Refusal(.goingAway, ""))])
        client.bind(BindRequest(tunnel: 1, address: "", port: 0))
        #expect(client.sent() == ["bind"])
    }

    @Test("M1 M6 frames of the handshake or of the other role end the session", arguments: [Role.client, .server])
    func wrongFrames(role: Role) {
        for type in FrameType.allCases where type.isOpening {
            var end = session(role)
            #expect(end.kind(of: frame(type)) == .unexpectedFrame)
        }
        var end = session(role)
        let binding = Binding(tunnel: 0, address: "", port: 1).frame.arrived
        #expect(end.kind(of: role == .client ? bindFrame(0) : binding) == .unexpectedFrame)
    }

    @Test("M24 after the peer's GOAWAY no stream is opened, existing ones continue, and a second GOAWAY is ignored")
    func goAway() throws {
        var server = try serverWithStream()
        let reason = Refusal(.goingAway, "restart", retryAfter: 3)
        let frame = reason.frame(.goAway).arrived
        #expect(server.kind(of: frame, frame) == nil)
        #expect(server.actions() == [.goingAway(reason)])
        #expect(!server.hasRoom && server.open(visit, now: .start) == nil)
        #expect(server.accepts(two, bytes(1)) == true)
        #expect(server.sent() == ["data 2"])
    }

    @Test("M24 M25 a drain refuses new streams and lets existing ones finish")
    func drain() throws {
        var client = try clientWithStream()
        client.drain(Refusal(.goingAway, "stopping"))
        client.drain(Refusal(.goingAway, "stopping"))
        #expect(client.sent() == ["goAway"])
        #expect(client.kind(of: openFrame(4)) == nil)
        #expect(client.sent() == ["reset 4"])
        #expect(client.kind(of: frame(.data, 2, buffer("x")), frame(.end, 2)) == nil)
        client.consumed(two, 1, now: .start)
        client.finish(two)
        #expect(client.sent().last == "end 2")
        #expect(client.actions() == [.deliver(two, buffer("x")), .end(two), .closed(two)])
        var server = session(.server)
        server.drain(Refusal(.goingAway, ""))
        #expect(!server.hasRoom)
    }

    @Test("A session without streams is delivered only once the peer has acknowledged what they sent")
    func delivered() throws {
        var client = try clientWithStream()
        client.write(two, bytes(9))
        client.finish(two)
        #expect(client.kind(of: frame(.end, 2)) == nil)
        client.drain(Refusal(.goingAway, "stopping"))
        let sent = client.sent()
        #expect(sent.contains("end 2") && sent.contains("goAway"))
        _ = client.actions()
        #expect(client.streamCount == 0 && !client.isDelivered)
        #expect(client.kind(of: frame(.ack, number: client.lanes[0].sentByStreams - 1)) == nil)
        #expect(!client.isDelivered && client.actions().isEmpty)
        #expect(client.kind(of: frame(.ack, number: client.lanes[0].sentByStreams)) == nil)
        #expect(client.isDelivered && client.nextAction() == .roomChanged)
    }

    @Test("M29 the end of a session resets each stream once, frees everything, and disables the session")
    func end() throws {
        var server = session(.server)
        let ids = (0..<128).compactMap { _ in server.open(visit, now: .start) }
        for id in ids { server.write(id, bytes(1_000)) }
        _ = (0..<200).compactMap { _ in server.nextFrame(now: .start) }
        _ = server.actions()
        let goAway = server.end(Refusal(.protocolViolation, "why"), streamsReset: .goingAway)
        #expect(goAway.header.type == .goAway)
        _ = server.end(Refusal(.busy, ""))
        let resets = server.actions()
        #expect(resets.count == 128 && Set(resets) == Set(ids.map { .reset($0, .goingAway) }))
        #expect(server.isEnded && !server.hasRoom && server.holdings == Session.Holdings())
        #expect(server.kind(of: frame(.data, 2, bytes(1)), openFrame(3), frame(.ping, number: 1)) == nil)
        #expect(server.accepts(two, bytes(1)) == false)
        server.probe(now: .start)
        server.bind(BindRequest(tunnel: 0, address: "", port: 0))
        server.drain(Refusal(.goingAway, ""))
        try server.tick(now: .at(.seconds(60)))
        #expect(server.frames(.at(.seconds(60))).isEmpty && server.actions().isEmpty)
    }

    @Test("M29 a stream that has ended in order is not reset by the session's end, and its last bytes arrive")
    func endWhileLingering() throws {
        var server = try serverWithStream()
        server.finish(two)
        #expect(server.kind(of: frame(.data, 2, buffer("last")), frame(.end, 2)) == nil)
        _ = server.frames()
        #expect(server.actions() == [.deliver(two, buffer("last")), .end(two)])
        #expect(server.kind(of: resetFrame(2)) == nil, "a RESET on an ended stream is ignored")
        #expect(server.streamCount == 1)
        _ = server.end(Refusal(.goingAway, ""))
        #expect(server.actions() == [.closed(two)])
    }
}
