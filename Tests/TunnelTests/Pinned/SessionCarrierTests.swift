import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// A session between carriers: what pauses, what is sent again, and what its role is told.
@Suite("A session and its carriers") struct SessionCarrierTests {
    @Test("frames that come go to the socket of their stream, and what sockets bring leaves under its number")
    func frames() throws {
        let rig = Rig(.client)
        let (first, second) = (try rig.service(2), try rig.service(4))
        try rig.receive(.data(2, "a"), .data(4, "b"), .data(2, "c"), .end(4))
        #expect(first.farSide == "ac" && second.farSide == "b<FIN>")
        first.brings("x")
        second.brings("y")
        #expect(rig.sent() == ["DATA 2 x", "DATA 4 y"])
    }

    @Test("frames for a stream that is gone are dropped")
    func unknownStream() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.bringsReset()
        #expect(rig.sent() == ["RESET 2 code 1"])
        try rig.receive(.data(2, "too late"), .end(2), .reset(2))
        #expect(rig.sent().isEmpty && rig.told.isEmpty)
    }

    @Test("without a carrier streams pause: what has come is written, and what is brought waits for the next one")
    func pause() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(2)
        try rig.receive(.data(2, "hello"))
        socket.brings("once ")
        #expect(rig.sent() == ["DATA 2 once "])
        rig.loseCarrier()
        #expect(rig.told == ["carrier lost"] && !rig.hasCarrier && !rig.isEnded && !socket.isClosed)
        socket.takesAll()
        socket.brings("twice")
        socket.bringsEnd()
        rig.loop.run()
        #expect(socket.farSide == "hello" && rig.sent().isEmpty)
        // ACCEPT and the first DATA had left; the peer has received ACCEPT alone.
        rig.bringCarrier(peerReceived: 1)
        #expect(rig.sent() == ["DATA 2 once twice", "END 2"])
        #expect(rig.told == ["carrier lost"])
    }

    @Test("a socket that is reset without a carrier: its bytes and RESET go over the next one")
    func resetWhilePaused() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.loseCarrier()
        socket.brings("last words")
        socket.bringsReset()
        rig.bringCarrier(peerReceived: 1)
        #expect(rig.sent() == ["DATA 2 last words", "RESET 2 code 1"])
    }

    @Test("a new carrier takes over from one that lives: that one is disowned and closed with 1001")
    func renewal() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        let old = rig.carrier
        socket.brings("once ")
        #expect(rig.sent() == ["DATA 2 once "])
        rig.bringCarrier(peerReceived: 1)
        #expect(old.isDisowned && old.end == "close 1001" && rig.told.isEmpty)
        socket.brings("more")
        #expect(rig.sent() == ["DATA 2 once more"])
    }

    @Test("what the old carrier brings once the peer was told a number is put aside; the new carrier brings it again")
    func putAside() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "one "))
        #expect(rig.prepareRenewal() == 2)
        try rig.receive(.data(2, "two "))
        #expect(socket.farSide == "one ")
        rig.bringCarrier(peerReceived: 1)
        #expect(socket.farSide == "one ")
        try rig.receive(.data(2, "two "), .data(2, "three"))
        #expect(socket.farSide == "one two three")
    }

    @Test("and taken if there will be no new carrier")
    func renewalGivenUp() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        _ = rig.prepareRenewal()
        try rig.receive(.data(2, "one "), .data(2, "two "))
        #expect(socket.farSide == "")
        rig.giveUpRenewal()
        #expect(socket.farSide == "one two ")
        try rig.receive(.data(2, "three"), .end(2))
        #expect(socket.farSide == "one two three<FIN>")
    }

    @Test("the server's wish for a new carrier reaches the role")
    func wish() throws {
        let rig = Rig(.client)
        try rig.receive(.renew(within: 30))
        #expect(rig.told == ["renew within 30"])
    }

    @Test("a carrier that comes after the session's end is told so and closed")
    func tooLate() throws {
        let rig = Rig(.client)
        rig.end()
        rig.bringCarrier(peerReceived: 0)
        #expect(rig.sent() == ["GOAWAY code 6"] && rig.carrier.end == "close 1001")
        #expect(rig.told == ["ended: by this end"])
    }

    @Test("a number of frames that the new carrier's peer cannot have received ends the session")
    func impossibleNumber() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        rig.loseCarrier()
        rig.bringCarrier(peerReceived: 2)
        #expect(rig.sent() == ["GOAWAY code 5"] && rig.carrier.end == "close 1002")
        #expect(socket.isClosed && rig.told == ["carrier lost", "ended: violation"])
    }
}
