import Testing

/// FIN and END: each direction of a stream ends separately, after its bytes.
@Suite("Half-close of a stream's socket") struct HalfCloseTests {
    @Test("A FIN becomes END after the bytes before it, and the other direction continues")
    func finBecomesEnd() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.farSideSends("hello")
        socket.farSideSendsFIN()
        #expect(rig.sent() == ["DATA 2 hello", "END 2"])
        try rig.receive(.data(2, "still here"))
        #expect(socket.farSide == "still here" && !socket.isClosed)
    }

    @Test("An END becomes FIN after the bytes before it, and the other direction continues")
    func endBecomesFIN() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "hello"), .end(2))
        #expect(socket.farSide == "hello<FIN>" && !socket.isClosed)
        socket.farSideSends("still here")
        #expect(rig.sent() == ["DATA 2 still here"])
    }

    @Test("An END waits for the bytes before it: with one byte left there is no FIN yet")
    func endWaitsForTheLastByte() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(4)
        try rig.receive(.data(2, "hello"), .end(2))
        rig.loop.run()
        #expect(socket.farSide == "hell")
        socket.acceptWrites(1)
        rig.loop.run()
        #expect(socket.farSide == "hello<FIN>" && !socket.isClosed)
    }

    @Test("An END that arrives while the socket drains waits for all bytes before it")
    func endWhileDraining() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        try rig.receive(.data(2, "one "))
        try rig.receive(.data(2, "two "))
        try rig.receive(.data(2, "three"), .end(2))
        #expect(socket.farSide == "")
        socket.acceptWrites(6)
        rig.loop.run()
        #expect(socket.farSide == "one tw")
        socket.acceptAllWrites()
        rig.loop.run()
        #expect(socket.farSide == "one two three<FIN>")
    }

    @Test("After both directions have ended, the socket's first, the socket closes and the stream is removed")
    func socketEndsFirst() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.farSideSends("question")
        socket.farSideSendsFIN()
        try rig.receive(.data(2, "answer"), .end(2))
        #expect(socket.farSide == "answer<FIN>" && socket.isClosed)
        #expect(rig.sent() == ["DATA 2 question", "END 2"])
        #expect(rig.streamCount == 0)
    }

    @Test("After both directions have ended, the peer's first, the socket closes and the stream is removed")
    func peerEndsFirst() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, "question"), .end(2))
        socket.farSideSends("answer")
        socket.farSideSendsFIN()
        #expect(socket.farSide == "question<FIN>" && socket.isClosed)
        #expect(rig.sent() == ["DATA 2 answer", "END 2"])
        #expect(rig.streamCount == 0)
    }

    @Test("If both directions end while the socket drains, the last byte is written before the close")
    func endedWhileDraining() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(5)
        socket.farSideSendsFIN()
        try rig.receive(.data(2, "answer"), .end(2))
        #expect(rig.sent() == ["END 2"])
        #expect(socket.farSide == "answe" && !socket.isClosed && rig.streamCount == 1)
        socket.acceptWrites(1)
        rig.loop.run()
        #expect(socket.farSide == "answer<FIN>" && socket.isClosed && rig.streamCount == 0)
    }

    @Test("After a FIN all bytes are read, and END waits for the credit of the bytes before it")
    func finWithoutCredit() throws {
        let rig = Rig(.client, peerWindow: 4)
        let socket = try rig.service()
        socket.farSideSends("hello")
        socket.farSideSends(" world")
        #expect(rig.sent() == ["DATA 2 hell"] && !socket.isReading)
        socket.farSideSendsFIN()
        #expect(rig.sent().isEmpty)
        try rig.receive(.credit(2, to: 10))
        #expect(rig.sent() == ["DATA 2 o worl"])
        try rig.receive(.credit(2, to: 100))
        #expect(rig.sent() == ["DATA 2 d", "END 2"])
    }

    @Test("A FIN without bytes becomes END, at a visitor and at a service")
    func emptyStream() throws {
        let rig = Rig(.server)
        let socket = try rig.visitor()
        socket.farSideSendsFIN()
        #expect(rig.sent() == ["END 2"])
        try rig.receive(.end(2))
        #expect(socket.farSide == "<FIN>" && socket.isClosed && rig.streamCount == 0)
    }
}
