import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// The end of a session: each stream is reset once, and the end is reported once.
@Suite("The end of a session") struct SessionEndTests {
    @Test("Without a grace period a lost carrier ends the session")
    func withoutGrace() throws {
        let rig = Rig(.client) { $0.grace = .zero }
        let socket = try rig.service()
        rig.loseCarrier()
        #expect(socket.farSide == "<RST>" && rig.reports == ["ended: carrier lost"] && rig.isEnded)
    }

    @Test("A WebSocket violation ends the session regardless of the grace period")
    func brokenWebSocket() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.loseCarrier(CarrierLoss(description: "an unmasked frame", isProtocolViolation: true))
        #expect(socket.farSide == "<RST>" && rig.reports == ["ended: carrier lost"])
    }

    @Test("A session without a new carrier ends after the grace period")
    func abandoned() throws {
        let rig = Rig(.client) { $0.grace = .nanoseconds(1) }
        let socket = try rig.service()
        rig.loseCarrier()
        #expect(rig.reports == ["carrier lost"] && !socket.isClosed)
        rig.runDueTimers()
        #expect(rig.reports == ["carrier lost", "ended: no new carrier"] && socket.farSide == "<RST>")
    }

    @Test("An unanswered PING aborts the carrier, and the session waits for another one")
    func silence() throws {
        let rig = Rig(.client) { $0.pingTimeout = .zero }
        let socket = try rig.service()
        let carrier = rig.carrier
        rig.runDueTimers()
        #expect(rig.sent(withHousekeeping: true).contains("PING") && rig.reports.isEmpty)
        rig.runDueTimers()
        #expect(rig.reports == ["carrier lost"] && carrier.isDisowned && carrier.end == "abort")
        #expect(!socket.isClosed && !rig.isEnded)
    }

    @Test("Without a grace period an unanswered PING ends the session")
    func silenceWithoutGrace() throws {
        let rig = Rig(.client) { ($0.pingTimeout, $0.grace) = (.zero, .zero) }
        let (socket, carrier) = (try rig.service(), rig.carrier)
        rig.runDueTimers()
        #expect(rig.sent(withHousekeeping: true).contains("PING") && rig.reports.isEmpty)
        rig.runDueTimers()
        #expect(rig.reports == ["ended: carrier lost"] && carrier.isDisowned && carrier.end == "abort")
        #expect(socket.farSide == "<RST>" && rig.isEnded)
    }

    @Test("A GOAWAY is reported at once, and ends the session when the peer closes the carrier")
    func goAway() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.goAway())
        #expect(rig.reports == ["peer goes away"] && !socket.isClosed)
        rig.loseCarrier(CarrierLoss(description: "closed", isClosedByPeer: true))
        #expect(rig.reports == ["peer goes away", "ended: by the peer"] && socket.farSide == "<RST>")
    }

    @Test("A carrier that is lost after a GOAWAY with open streams does not end the session")
    func cutAfterGoAway() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.goAway())
        rig.loseCarrier()
        #expect(rig.reports == ["peer goes away", "carrier lost"] && !socket.isClosed)
    }

    @Test("A carrier that is lost after a GOAWAY ends a session without streams")
    func cutAfterGoAwayWithoutStreams() throws {
        let rig = Rig(.client)
        try rig.receive(.goAway())
        rig.loseCarrier()
        #expect(rig.reports == ["peer goes away", "ended: by the peer"])
    }

    @Test("A Close without a GOAWAY is a lost carrier")
    func closeWithoutGoAway() throws {
        let rig = Rig(.client)
        rig.loseCarrier(CarrierLoss(description: "closed", isClosedByPeer: true))
        #expect(rig.reports == ["carrier lost"])
    }

    @Test("The end is reported exactly once, regardless of later events")
    func once() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        try rig.receive(.data(2, "hello"))
        rig.end()
        rig.end()
        try rig.receive(.data(2, "more"), .open(4))
        rig.loseCarrier()
        socket.farSideSendsRST()
        rig.runDueTimers()
        #expect(rig.reports == ["ended: by this end"] && rig.sent() == ["GOAWAY code 6"])
    }

    @Test("A draining session sends GOAWAY, refuses new streams, and lets existing ones finish")
    func drain() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.drain()
        try rig.receive(.open(4))
        #expect(rig.sent() == ["GOAWAY code 6", "RESET 4 code 7"] && !socket.isClosed)
        try rig.receive(.data(2, "bye"), .end(2))
        socket.farSideSendsFIN()
        #expect(socket.farSide == "bye<FIN>" && rig.sent() == ["END 2"])
        #expect(rig.reports.isEmpty && rig.streamCount == 0)
    }
}
