import NIOCore
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Streams whose service is being connected to, and visitors that wait for a stream.
@Suite("Streams that have not begun") struct PendingStreamTests {
    // MARK: At a client, before the service answers

    @Test("what has come for a service is written to it once it answers, and FIN behind it")
    func heldForService() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello "), .data(2, "world"), .end(2))
        #expect(rig.isConnecting(2) && rig.sent().isEmpty)
        let socket = try rig.connect(2)
        #expect(socket.farSide == "hello world<FIN>" && !socket.isClosed)
        rig.carrierTakesFrames()
        #expect(rig.sent() == ["ACCEPT 2"])
        socket.brings("answer")
        socket.bringsEnd()
        #expect(rig.sent() == ["DATA 2 answer", "END 2"])
        #expect(socket.isClosed && rig.streamCount == 0)
    }

    @Test("a service that refuses becomes RESET with its code, and what was held is dropped")
    func refused() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello"))
        try rig.refuse(2)
        #expect(rig.sent() == ["RESET 2 code 2"])
        #expect(!rig.isConnecting(2) && rig.streamCount == 0)
        try rig.receive(.data(2, "it could not know"))
        #expect(rig.sent().isEmpty)
    }

    @Test("a RESET before the service answers, and without bytes for it, ends the connecting; nothing is answered")
    func resetWithoutBytes() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .reset(2))
        #expect(rig.abandonedConnects == [2] && !rig.isConnecting(2))
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("a RESET behind bytes for the service: it is connected to, gets them, and is reset then")
    func resetWithBytes() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello"), .reset(2))
        #expect(rig.abandonedConnects.isEmpty && rig.isConnecting(2) && rig.streamCount == 1)
        let socket = try rig.connect(2)
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("a RESET behind bytes for a service that does not answer ends the connecting after 5 s")
    func resetPatience() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello"), .reset(2))
        rig.loop.advanceTime(by: .milliseconds(4_999))
        #expect(rig.isConnecting(2))
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(rig.abandonedConnects == [2] && !rig.isConnecting(2))
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("the session's end ends the connecting, if there are no bytes for the service")
    func sessionEnds() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2))
        rig.end()
        #expect(rig.abandonedConnects == [2] && !rig.isConnecting(2))
    }

    // MARK: At a server, before there is a stream

    @Test("a visitor that waits is not read; with its stream it is")
    func waitingVisitor() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.brings("hello")
        #expect(!socket.isReading && rig.sent().isEmpty)
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 hello"] && socket.isReading)
    }

    @Test("a visitor that ends while it waits: OPEN, its bytes and END go together")
    func endsWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.brings("one ")
        socket.brings("two")
        socket.bringsEnd()
        #expect(rig.isWaiting(socket) && !socket.isClosed)
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 one two", "END 2"])
        try rig.receive(.accept(2), .data(2, "answer"), .end(2))
        #expect(socket.farSide == "answer<FIN>" && socket.isClosed && rig.streamCount == 0)
    }

    @Test("a visitor that ends without a byte while it waits still gets its stream")
    func endsEmptyWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.bringsEnd()
        #expect(rig.isWaiting(socket))
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "END 2"])
    }

    @Test("a visitor that is reset with bytes unsent still waits: OPEN, its bytes and RESET go together")
    func resetWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.brings("last words")
        socket.bringsReset()
        #expect(rig.isWaiting(socket) && socket.isClosed)
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 last words", "RESET 2 code 1"])
        #expect(!rig.isWaiting(socket) && rig.streamCount == 0)
    }

    @Test("a visitor that ended and was reset then, with bytes unsent: its END is left out")
    func resetAfterEndWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.brings("last words")
        socket.bringsEnd()
        socket.bringsReset()
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 last words", "RESET 2 code 1"])
    }

    @Test("a visitor that is reset without a byte does not wait any more, and the client hears nothing of it")
    func resetEmptyWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.bringsReset()
        #expect(!rig.isWaiting(socket) && rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("a visitor that brings more than the session may queue is reset while it waits")
    func tooMuchWhileWaiting() throws {
        let rig = Rig(.server) { $0.queuedBytes = 10 }
        let socket = try rig.waitingVisitor()
        socket.brings("0123456789")
        socket.brings("x")
        socket.bringsEnd()
        #expect(socket.farSide == "<RST>" && socket.isClosed && !rig.isWaiting(socket))
        #expect(rig.sent().isEmpty)
    }
}
