import NIOCore
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Streams with a pending connect to their service, and visitors that wait for a stream.
@Suite("Pending streams") struct PendingStreamTests {
    // MARK: At a client, before the service answers

    @Test("Bytes and a FIN for a service are written once the service is connected")
    func heldForService() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello "), .data(2, "world"), .end(2))
        #expect(rig.isConnecting(2) && rig.sent().isEmpty)
        let socket = try rig.connect(2)
        #expect(socket.farSide == "hello world<FIN>" && !socket.isClosed)
        rig.makeCarrierWritable()
        #expect(rig.sent() == ["ACCEPT 2"])
        socket.farSideSends("answer")
        socket.farSideSendsFIN()
        #expect(rig.sent() == ["DATA 2 answer", "END 2"])
        #expect(socket.isClosed && rig.streamCount == 0)
    }

    @Test("A refused connect becomes RESET with its code, and held bytes are dropped")
    func refused() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello"))
        try rig.refuse(2)
        #expect(rig.sent() == ["RESET 2 code 2"])
        #expect(!rig.isConnecting(2) && rig.streamCount == 0)
        try rig.receive(.data(2, "it could not know"))
        #expect(rig.sent().isEmpty)
    }

    @Test("A RESET without bytes before it cancels a pending connect, and is not answered")
    func resetWithoutBytes() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .reset(2))
        #expect(rig.abandonedConnects == [2] && !rig.isConnecting(2))
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("After a RESET behind bytes the service is still connected, receives the bytes, and is reset")
    func resetWithBytes() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello"), .reset(2))
        #expect(rig.abandonedConnects.isEmpty && rig.isConnecting(2) && rig.streamCount == 1)
        let socket = try rig.connect(2)
        #expect(socket.farSide == "hello<RST>" && socket.isClosed)
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("A RESET behind bytes cancels a pending connect after 5 s")
    func resetTimeout() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2), .data(2, "hello"), .reset(2))
        rig.loop.advanceTime(by: .milliseconds(4_999))
        #expect(rig.isConnecting(2))
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(rig.abandonedConnects == [2] && !rig.isConnecting(2))
        #expect(rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("The session's end cancels a pending connect without bytes for the service")
    func sessionEnds() throws {
        let rig = Rig(.client)
        try rig.receive(.open(2))
        rig.end()
        #expect(rig.abandonedConnects == [2] && !rig.isConnecting(2))
    }

    // MARK: At a server, before there is a stream

    @Test("A waiting visitor is not read, and is read once it has a stream")
    func waitingVisitor() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.farSideSends("hello")
        #expect(!socket.isReading && rig.sent().isEmpty)
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 hello"] && socket.isReading)
    }

    @Test("For a visitor that half-closes while it waits, OPEN, its bytes and END are sent together")
    func endsWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.farSideSends("one ")
        socket.farSideSends("two")
        socket.farSideSendsFIN()
        #expect(rig.isWaiting(socket) && !socket.isClosed)
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 one two", "END 2"])
        try rig.receive(.accept(2), .data(2, "answer"), .end(2))
        #expect(socket.farSide == "answer<FIN>" && socket.isClosed && rig.streamCount == 0)
    }

    @Test("A visitor that half-closes without a byte while it waits still gets a stream")
    func endsEmptyWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.farSideSendsFIN()
        #expect(rig.isWaiting(socket))
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "END 2"])
    }

    @Test("For a waiting visitor that resets after bytes, OPEN, its bytes and RESET are sent together")
    func resetWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.farSideSends("last words")
        socket.farSideSendsRST()
        #expect(rig.isWaiting(socket) && socket.isClosed)
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 last words", "RESET 2 code 1"])
        #expect(!rig.isWaiting(socket) && rig.streamCount == 0)
    }

    @Test("For a waiting visitor that half-closes and then resets, END is omitted")
    func resetAfterEndWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.farSideSends("last words")
        socket.farSideSendsFIN()
        socket.farSideSendsRST()
        try rig.admit(socket)
        #expect(rig.sent() == ["OPEN 2", "DATA 2 last words", "RESET 2 code 1"])
    }

    @Test("A waiting visitor that resets without a byte is removed, and no frame is sent")
    func resetEmptyWhileWaiting() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        socket.farSideSendsRST()
        #expect(!rig.isWaiting(socket) && rig.sent().isEmpty && rig.streamCount == 0)
    }

    @Test("A waiting visitor that sends more than the session may queue is reset")
    func tooMuchWhileWaiting() throws {
        let rig = Rig(.server) { $0.queuedBytes = 10 }
        let socket = try rig.waitingVisitor()
        socket.farSideSends("0123456789")
        socket.farSideSends("x")
        socket.farSideSendsFIN()
        #expect(socket.farSide == "<RST>" && socket.isClosed && !rig.isWaiting(socket))
        #expect(rig.sent().isEmpty)
    }
}
