import NIOCore
import Testing

/// RST and RESET: a stream that dies does so at both ends, and what came before still arrives.
@Suite("Resets of a stream and its socket") struct ResetTests {
    @Test("an RST becomes RESET behind the bytes before it, those included that were not asked for")
    func resetBecomesReset() throws {
        let rig = Rig(.client, peerWindow: 4)
        let socket = try rig.service()
        socket.brings("hello")
        #expect(rig.sent() == ["DATA 2 hell"])
        socket.brings("!")
        socket.bringsReset()
        #expect(rig.sent().isEmpty && socket.isClosed)
        try rig.receive(.credit(2, to: 100))
        #expect(rig.sent() == ["DATA 2 o!", "RESET 2 code 1"])
        #expect(rig.streamCount == 0)
    }

    @Test("an RST after the socket's own FIN becomes RESET after END")
    func resetAfterFIN() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.bringsEnd()
        #expect(rig.sent() == ["END 2"])
        socket.bringsReset()
        #expect(rig.sent() == ["RESET 2 code 1"] && rig.streamCount == 0)
    }

    @Test("an RST after the FIN that an END has become is a RESET, and no END")
    func resetAfterOurFIN() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.end(2))
        #expect(socket.farSide == "<FIN>")
        socket.bringsReset()
        #expect(rig.sent() == ["RESET 2 code 1"] && rig.streamCount == 0)
    }

    @Test("an RST once both directions have ended changes nothing")
    func resetAfterBoth() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.bringsEnd()
        try rig.receive(.end(2))
        #expect(rig.sent() == ["END 2"] && socket.isClosed)
        socket.bringsReset()
        #expect(rig.sent().isEmpty)
    }

    @Test("an RST while the socket drains its last bytes: the peer has ended already, and is not told")
    func resetWhileDrainingTheLast() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        socket.bringsEnd()
        try rig.receive(.data(2, "lost"), .end(2))
        #expect(rig.sent() == ["END 2"] && rig.streamCount == 1)
        socket.bringsReset()
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("a write that fails becomes RESET, behind what the socket had brought before")
    func failedWrite() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.brings("last words")
        rig.loop.run()
        socket.writesFail = true
        try rig.receive(.data(2, "never read"))
        #expect(rig.sent() == ["DATA 2 last words", "RESET 2 code 1"])
        #expect(socket.farSide == "" && socket.isClosed && rig.streamCount == 0)
    }

    @Test("a RESET resets the socket at once if nothing is held, and is not answered")
    func resetOfThePeer() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "hello"), .reset(2))
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("a RESET behind bytes that are held waits until the socket has taken them")
    func resetBehindHeldBytes() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(2)
        try rig.receive(.data(2, "hello"))
        try rig.receive(.data(2, " world"), .reset(2))
        #expect(socket.farSide == "he" && !socket.isClosed && rig.streamCount == 1)
        socket.takes(3)
        rig.loop.run()
        #expect(socket.farSide == "hello" && !socket.isClosed)
        #expect(rig.bytesForSockets == 6, "what it has taken stops counting against the session's budget")
        socket.takes(5)
        rig.loop.run()
        #expect(socket.farSide == "hello worl" && !socket.isClosed)
        socket.takes(1)
        rig.loop.run()
        #expect(socket.farSide == "hello world<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("a RESET behind an END: the FIN is left out, since RST says it all")
    func resetBehindEnd() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        try rig.receive(.data(2, "hello"), .end(2), .reset(2))
        socket.takesAll()
        rig.loop.run()
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
    }

    @Test("what the kernel was given is acknowledged by the far side before RST throws it away")
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
        #expect(!socket.isClosed, "the waits double from 5 ms on")
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
    }

    @Test("a socket that does not take the bytes before a RESET is reset after 5 s")
    func resetPatience() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(2)
        try rig.receive(.data(2, "hello"), .reset(2))
        rig.loop.advanceTime(by: .milliseconds(4_999))
        #expect(!socket.isClosed)
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(socket.farSide == "he<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("what a socket brings after the peer's RESET goes nowhere")
    func bytesAfterReset() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        try rig.receive(.data(2, "hello"), .reset(2))
        socket.brings("too late")
        socket.bringsEnd()
        #expect(rig.sent().isEmpty && !socket.isClosed)
        socket.takesAll()
        rig.loop.run()
        #expect(socket.farSide == "hello<RST>" && rig.sent().isEmpty)
    }

    @Test("an RST while bytes before a RESET are held ends the wait")
    func resetFromBothSides() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        try rig.receive(.data(2, "hello"), .reset(2))
        socket.bringsReset()
        #expect(socket.isClosed && rig.sent().isEmpty && rig.streamCount == 0)
        rig.loop.advanceTime(by: .seconds(5))
        #expect(rig.sent().isEmpty)
    }

    @Test("a visitor's stream is reset in the same way")
    func visitor() throws {
        let rig = Rig(.server)
        let (first, second) = (try rig.visitor(2), try rig.visitor(4))
        first.bringsReset()
        try rig.receive(.data(4, "bye"), .reset(4))
        #expect(rig.sent() == ["RESET 2 code 1"])
        #expect(second.farSide == "bye<RST>" && rig.streamCount == 0)
    }
}
