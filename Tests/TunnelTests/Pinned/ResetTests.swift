import NIOCore
import Testing

/// RST and RESET: a reset reaches both ends, after the bytes before it.
@Suite("Resets of a stream and its socket") struct ResetTests {
    @Test("An RST becomes RESET after the bytes before it, including those without a pending read")
    func resetBecomesReset() throws {
        let rig = Rig(.client, peerWindow: 4)
        let socket = try rig.service()
        socket.farSideSends("hello")
        #expect(rig.sent() == ["DATA 2 hell"])
        socket.farSideSends("!")
        socket.farSideSendsRST()
        #expect(rig.sent().isEmpty && socket.isClosed)
        try rig.receive(.credit(2, to: 100))
        #expect(rig.sent() == ["DATA 2 o!", "RESET 2 code 1"])
        #expect(rig.streamCount == 0)
    }

    @Test("An RST after the socket's own FIN becomes RESET after END")
    func resetAfterFIN() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.farSideSendsFIN()
        #expect(rig.sent() == ["END 2"])
        socket.farSideSendsRST()
        #expect(rig.sent() == ["RESET 2 code 1"] && rig.streamCount == 0)
    }

    @Test("An RST after the peer's END becomes RESET without END")
    func resetAfterOurFIN() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.end(2))
        #expect(socket.farSide == "<FIN>")
        socket.farSideSendsRST()
        #expect(rig.sent() == ["RESET 2 code 1"] && rig.streamCount == 0)
    }

    @Test("An RST after both directions have ended has no effect")
    func resetAfterBoth() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.farSideSendsFIN()
        try rig.receive(.end(2))
        #expect(rig.sent() == ["END 2"] && socket.isClosed)
        socket.farSideSendsRST()
        #expect(rig.sent().isEmpty)
    }

    @Test("An RST while the socket drains after END in both directions is not reported to the peer")
    func resetWhileDrainingTheLast() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        socket.farSideSendsFIN()
        try rig.receive(.data(2, "lost"), .end(2))
        #expect(rig.sent() == ["END 2"] && rig.streamCount == 1)
        socket.farSideSendsRST()
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("A failed write becomes RESET, after the bytes that the socket had received")
    func failedWrite() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.farSideSends("last words")
        rig.loop.run()
        socket.writesFail = true
        try rig.receive(.data(2, "never read"))
        #expect(rig.sent() == ["DATA 2 last words", "RESET 2 code 1"])
        #expect(socket.farSide == "" && socket.isClosed && rig.streamCount == 0)
    }

    @Test("A RESET without held bytes resets the socket at once, and is not answered")
    func resetOfThePeer() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "hello"), .reset(2))
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("A RESET waits until the kernel has accepted the held bytes")
    func resetBehindHeldBytes() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(2)
        try rig.receive(.data(2, "hello"))
        try rig.receive(.data(2, " world"), .reset(2))
        #expect(socket.farSide == "he" && !socket.isClosed && rig.streamCount == 1)
        socket.acceptWrites(3)
        rig.loop.run()
        #expect(socket.farSide == "hello" && !socket.isClosed)
        #expect(rig.bytesForSockets == 6, "accepted bytes do not count against the session's budget")
        socket.acceptWrites(5)
        rig.loop.run()
        #expect(socket.farSide == "hello worl" && !socket.isClosed)
        socket.acceptWrites(1)
        rig.loop.run()
        #expect(socket.farSide == "hello world<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("After END and RESET the socket sends RST and no FIN")
    func resetBehindEnd() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        try rig.receive(.data(2, "hello"), .end(2), .reset(2))
        socket.acceptAllWrites()
        rig.loop.run()
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
    }

    @Test("The RST waits until the far side has acknowledged the kernel's bytes")
    func resetWaitsForAcknowledgement() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.unacknowledged = 1
        try rig.receive(.data(2, "hello"), .reset(2))
        #expect(socket.farSide == "hello" && !socket.isClosed)
        rig.loop.advanceTime(by: .milliseconds(5))
        #expect(!socket.isClosed)
        socket.unacknowledged = 0
        rig.loop.advanceTime(by: .milliseconds(9))
        #expect(!socket.isClosed, "the checks follow after 5 ms, 10 ms and so on")
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
    }

    @Test("A socket that does not accept the bytes before a RESET is reset after 5 s")
    func resetTimeout() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(2)
        try rig.receive(.data(2, "hello"), .reset(2))
        rig.loop.advanceTime(by: .milliseconds(4_999))
        #expect(!socket.isClosed)
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(socket.farSide == "he<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("Bytes of a socket after the peer's RESET are discarded")
    func bytesAfterReset() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        try rig.receive(.data(2, "hello"), .reset(2))
        socket.farSideSends("too late")
        socket.farSideSendsFIN()
        #expect(rig.sent().isEmpty && !socket.isClosed)
        socket.acceptAllWrites()
        rig.loop.run()
        #expect(socket.farSide == "hello<RST>" && rig.sent().isEmpty)
    }

    @Test("An RST while bytes before a RESET are held ends the wait")
    func resetFromBothSides() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        try rig.receive(.data(2, "hello"), .reset(2))
        socket.farSideSendsRST()
        #expect(socket.isClosed && rig.sent().isEmpty && rig.streamCount == 0)
        rig.loop.advanceTime(by: .seconds(5))
        #expect(rig.sent().isEmpty)
    }

    @Test("A visitor's stream is reset in the same way")
    func visitor() throws {
        let rig = Rig(.server)
        let (first, second) = (try rig.visitor(2), try rig.visitor(4))
        first.farSideSendsRST()
        try rig.receive(.data(4, "bye"), .reset(4))
        #expect(rig.sent() == ["RESET 2 code 1"])
        #expect(second.farSide == "bye<RST>" && rig.streamCount == 0)
    }
}
