import Testing

/// FIN and END: each direction of a stream ends on its own, behind its bytes.
@Suite("Half-close of a stream's socket") struct HalfCloseTests {
    @Test("a FIN becomes END behind the bytes before it, and the other direction goes on")
    func finBecomesEnd() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.brings("hello")
        socket.bringsEnd()
        #expect(rig.sent() == ["DATA 2 hello", "END 2"])
        try rig.receive(.data(2, "still here"))
        #expect(socket.farSide == "still here" && !socket.isClosed)
    }

    @Test("an END becomes FIN behind the bytes before it, and the other direction goes on")
    func endBecomesFIN() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "hello"), .end(2))
        #expect(socket.farSide == "hello<FIN>" && !socket.isClosed)
        socket.brings("still here")
        #expect(rig.sent() == ["DATA 2 still here"])
    }

    @Test("an END waits for the bytes before it: with one byte left to drain there is no FIN yet")
    func endWaitsForTheLastByte() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(4)
        try rig.receive(.data(2, "hello"), .end(2))
        rig.loop.run()
        #expect(socket.farSide == "hell")
        socket.takes(1)
        rig.loop.run()
        #expect(socket.farSide == "hello<FIN>" && !socket.isClosed)
    }

    @Test("an END that comes while the socket drains waits too, as do the bytes that come then")
    func endWhileDraining() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        try rig.receive(.data(2, "one "))
        try rig.receive(.data(2, "two "))
        try rig.receive(.data(2, "three"), .end(2))
        #expect(socket.farSide == "")
        socket.takes(6)
        rig.loop.run()
        #expect(socket.farSide == "one tw")
        socket.takesAll()
        rig.loop.run()
        #expect(socket.farSide == "one two three<FIN>")
    }

    @Test("both directions ended, the socket's first: it is closed in order, and the stream is forgotten")
    func socketEndsFirst() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.brings("question")
        socket.bringsEnd()
        try rig.receive(.data(2, "answer"), .end(2))
        #expect(socket.farSide == "answer<FIN>" && socket.isClosed)
        #expect(rig.sent() == ["DATA 2 question", "END 2"])
        #expect(rig.streamCount == 0)
    }

    @Test("both directions ended, the peer's first: the same")
    func peerEndsFirst() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "question"), .end(2))
        socket.brings("answer")
        socket.bringsEnd()
        #expect(socket.farSide == "question<FIN>" && socket.isClosed)
        #expect(rig.sent() == ["DATA 2 answer", "END 2"])
        #expect(rig.streamCount == 0)
    }

    @Test("both directions ended while the socket still drains: the last byte is written before it is closed")
    func endedWhileDraining() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(5)
        socket.bringsEnd()
        try rig.receive(.data(2, "answer"), .end(2))
        #expect(rig.sent() == ["END 2"])
        #expect(socket.farSide == "answe" && !socket.isClosed && rig.streamCount == 1)
        socket.takes(1)
        rig.loop.run()
        #expect(socket.farSide == "answer<FIN>" && socket.isClosed && rig.streamCount == 0)
    }

    @Test("a FIN behind bytes that the stream has no credit for: all is read, and END waits for the credit")
    func finWithoutCredit() throws {
        let rig = Rig(.client, peerWindow: 4)
        let socket = try rig.service()
        socket.brings("hello")
        socket.brings(" world")
        #expect(rig.sent() == ["DATA 2 hell"] && !socket.isReading)
        socket.bringsEnd()
        #expect(rig.sent().isEmpty)
        try rig.receive(.credit(2, to: 10))
        #expect(rig.sent() == ["DATA 2 o worl"])
        try rig.receive(.credit(2, to: 100))
        #expect(rig.sent() == ["DATA 2 d", "END 2"])
    }

    @Test("a FIN without bytes becomes END, at a visitor as at a service")
    func emptyStream() throws {
        let rig = Rig(.server)
        let socket = try rig.visitor()
        socket.bringsEnd()
        #expect(rig.sent() == ["END 2"])
        try rig.receive(.end(2))
        #expect(socket.farSide == "<FIN>" && socket.isClosed && rig.streamCount == 0)
    }
}
