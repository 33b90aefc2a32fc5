import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// A session between carriers: pauses, repeated frames, and reports to its owner.
@Suite("A session and its carriers") struct SessionCarrierTests {
    @Test("Received frames go to the socket of their stream, and bytes of sockets are sent on their stream")
    func frames() throws {
        let rig = Rig(.client)
        let (first, second) = (try rig.service(2), try rig.service(4))
        try rig.receive(.data(2, "a"), .data(4, "b"), .data(2, "c"), .end(4))
        #expect(first.farSide == "ac" && second.farSide == "b<FIN>")
        first.farSideSends("x")
        second.farSideSends("y")
        #expect(rig.sent() == ["DATA 2 x", "DATA 4 y"])
    }

    @Test("Frames for a removed stream are dropped")
    func unknownStream() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.farSideSendsRST()
        #expect(rig.sent() == ["RESET 2 code 1"])
        try rig.receive(.data(2, "too late"), .end(2), .reset(2))
        #expect(rig.sent().isEmpty && rig.reports.isEmpty)
    }

    @Test("Without a carrier received bytes are written, and bytes of sockets wait for the next carrier")
    func pause() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(2)
        try rig.receive(.data(2, "hello"))
        socket.farSideSends("once ")
        #expect(rig.sent() == ["DATA 2 once "])
        rig.loseCarrier()
        #expect(rig.reports == ["carrier lost"] && !rig.hasCarrier && !rig.isEnded && !socket.isClosed)
        socket.acceptAllWrites()
        socket.farSideSends("twice")
        socket.farSideSendsFIN()
        rig.loop.run()
        #expect(socket.farSide == "hello" && rig.sent().isEmpty)
        // ACCEPT and the first DATA were sent, and the peer has received only ACCEPT.
        rig.attachCarrier(peerReceived: 1)
        #expect(rig.sent() == ["DATA 2 once twice", "END 2"])
        #expect(rig.reports == ["carrier lost"])
    }

    @Test("The bytes and RESET of a socket that is reset without a carrier are sent on the next one")
    func resetWhilePaused() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.loseCarrier()
        socket.farSideSends("last words")
        socket.farSideSendsRST()
        rig.attachCarrier(peerReceived: 1)
        #expect(rig.sent() == ["DATA 2 last words", "RESET 2 code 1"])
    }

    @Test("A new carrier takes over from a live one, which is disowned and closed with 1001")
    func renewal() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        let old = rig.carrier
        socket.farSideSends("once ")
        #expect(rig.sent() == ["DATA 2 once "])
        rig.attachCarrier(peerReceived: 1)
        #expect(old.isDisowned && old.end == "close 1001" && rig.reports.isEmpty)
        socket.farSideSends("more")
        #expect(rig.sent() == ["DATA 2 once more"])
    }

    @Test("After the count was reported, frames of the old carrier are deferred, and the new carrier repeats them")
    func deferredFrames() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "one "))
        #expect(rig.prepareRenewal() == 2)
        try rig.receive(.data(2, "two "))
        #expect(socket.farSide == "one ")
        rig.attachCarrier(peerReceived: 1)
        #expect(socket.farSide == "one ")
        try rig.receive(.data(2, "two "), .data(2, "three"))
        #expect(socket.farSide == "one two three")
    }

    @Test("Deferred frames are delivered if there is no new carrier")
    func renewalGivenUp() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        _ = rig.prepareRenewal()
        try rig.receive(.data(2, "one "), .data(2, "two "))
        #expect(socket.farSide == "")
        rig.abandonRenewal()
        #expect(socket.farSide == "one two ")
        try rig.receive(.data(2, "three"), .end(2))
        #expect(socket.farSide == "one two three<FIN>")
    }

    @Test("The server's RENEW is reported to the owner")
    func renewalRequest() throws {
        let rig = Rig(.client)
        try rig.receive(.renew(within: 30))
        #expect(rig.reports == ["renew within 30"])
    }

    @Test("A carrier after the session's end gets a GOAWAY and is closed")
    func tooLate() throws {
        let rig = Rig(.client)
        rig.end()
        rig.attachCarrier(peerReceived: 0)
        #expect(rig.sent() == ["GOAWAY code 6"] && rig.carrier.end == "close 1001")
        #expect(rig.reports == ["ended: by this end"])
    }

    @Test("An impossible count on the new carrier ends the session")
    func impossibleNumber() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.loseCarrier()
        rig.attachCarrier(peerReceived: 2)
        #expect(rig.sent() == ["GOAWAY code 5"] && rig.carrier.end == "close 1002")
        #expect(socket.isClosed && rig.reports == ["carrier lost", "ended: violation"])
    }
}
