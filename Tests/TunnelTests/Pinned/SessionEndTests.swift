import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// How a session ends: each stream is reset once, and the role is told once.
@Suite("The end of a session") struct SessionEndTests {
    @Test("without grace a lost carrier ends the session")
    func withoutGrace() throws {
        let rig = Rig(.client) { $0.grace = .zero }
        let socket = try rig.service()
        rig.loseCarrier()
        #expect(socket.farSide == "<RST>" && rig.told == ["ended: carrier lost"] && rig.isEnded)
    }

    @Test("a peer that breaks the WebSocket's rules ends it, whatever the grace")
    func brokenWebSocket() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.loseCarrier(CarrierLoss(description: "an unmasked frame", isProtocolViolation: true))
        #expect(socket.farSide == "<RST>" && rig.told == ["ended: carrier lost"])
    }

    @Test("no new carrier within the grace ends it")
    func abandoned() throws {
        let rig = Rig(.client) { $0.grace = .nanoseconds(1) }
        let socket = try rig.service()
        rig.loseCarrier()
        #expect(rig.told == ["carrier lost"] && !socket.isClosed)
        rig.runDueTimers()
        #expect(rig.told == ["carrier lost", "ended: no new carrier"] && socket.farSide == "<RST>")
    }

    @Test("a peer that does not answer a PING has lost its carrier, which is cut; the session waits for another one")
    func silence() throws {
        let rig = Rig(.client) { $0.pingTimeout = .zero }
        let socket = try rig.service()
        let carrier = rig.carrier
        rig.runDueTimers()
        #expect(rig.sent(withHousekeeping: true).contains("PING") && rig.told.isEmpty)
        rig.runDueTimers()
        #expect(rig.told == ["carrier lost"] && carrier.isDisowned && carrier.end == "abort")
        #expect(!socket.isClosed && !rig.isEnded)
    }

    @Test("a GOAWAY is told at once, and ends the session when the peer closes the carrier behind it")
    func farewell() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.goAway())
        #expect(rig.told == ["peer goes away"] && !socket.isClosed)
        rig.loseCarrier(CarrierLoss(description: "closed", isClosedByPeer: true))
        #expect(rig.told == ["peer goes away", "ended: by the peer"] && socket.farSide == "<RST>")
    }

    @Test("a carrier that is cut behind a GOAWAY while streams live is a lost carrier")
    func cutAfterFarewell() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.goAway())
        rig.loseCarrier()
        #expect(rig.told == ["peer goes away", "carrier lost"] && !socket.isClosed)
    }

    @Test("a carrier that is cut behind a GOAWAY ends a session without streams")
    func cutAfterFarewellWithoutStreams() throws {
        let rig = Rig(.client)
        try rig.receive(.goAway())
        rig.loseCarrier()
        #expect(rig.told == ["peer goes away", "ended: by the peer"])
    }

    @Test("a Close without a GOAWAY is a lost carrier")
    func closeWithoutFarewell() throws {
        let rig = Rig(.client)
        rig.loseCarrier(CarrierLoss(description: "closed", isClosedByPeer: true))
        #expect(rig.told == ["carrier lost"])
    }

    @Test("an end is told exactly once, whatever else happens to the carrier and the sockets")
    func once() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        try rig.receive(.data(2, "hello"))
        rig.end()
        rig.end()
        try rig.receive(.data(2, "more"), .open(4))
        rig.loseCarrier()
        socket.bringsReset()
        rig.runDueTimers()
        #expect(rig.told == ["ended: by this end"] && rig.sent() == ["GOAWAY code 6"])
    }

    @Test("a session that drains says so, refuses new streams, and lets those that live end")
    func drain() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.drain()
        try rig.receive(.open(4))
        #expect(rig.sent() == ["GOAWAY code 6", "RESET 4 code 7"] && !socket.isClosed)
        try rig.receive(.data(2, "bye"), .end(2))
        socket.bringsEnd()
        #expect(socket.farSide == "bye<FIN>" && rig.sent() == ["END 2"])
        #expect(rig.told.isEmpty && rig.streamCount == 0)
    }
}
