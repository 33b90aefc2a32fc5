import Mux
import NIOCore
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// What a stream's socket is held to, and what becomes of it when its session ends.
@Suite("Bounds of a stream's socket") struct StreamBoundsTests {
    // MARK: Silence and bandwidth

    @Test("a socket that is silent for too long is reset, and so is its stream")
    func silence() throws {
        let rig = Rig(.server)
        let socket = try rig.visitor(2, Rig.policy(idle: .nanoseconds(1)))
        #expect(!socket.isClosed)
        rig.runDueTimers()
        #expect(socket.farSide == "<RST>" && socket.isClosed)
        #expect(rig.sent() == ["RESET 2 code 4"] && rig.streamCount == 0)
    }

    @Test("before its time has come it is not")
    func notYet() throws {
        let rig = Rig(.server)
        let socket = try rig.visitor(2, Rig.policy(idle: .hours(1)))
        rig.runDueTimers()
        #expect(!socket.isClosed && rig.sent().isEmpty)
    }

    @Test("a socket that was read beyond its bandwidth rests until it is within it again; what it brought goes on")
    func restsFromReading() throws {
        let rig = Rig(.server, peerWindow: 1_000_000)
        let socket = try rig.visitor(2, Rig.policy(bytesPerSecond: 1_000))
        socket.brings(ByteBuffer(repeating: 0x61, count: 65_536))
        #expect(rig.sent() == ["DATA 2 of 65536"] && socket.isReading, "so much may pass at once")
        socket.brings(ByteBuffer(repeating: 0x61, count: 4_000))
        #expect(rig.sent() == ["DATA 2 of 4000"] && !socket.isReading)
        rig.loop.advanceTime(by: .seconds(3))
        #expect(!socket.isReading)
        rig.loop.advanceTime(by: .seconds(1))
        #expect(socket.isReading)
    }

    @Test("a resting socket that ends is read to its end, and END does not wait")
    func endsWhileResting() throws {
        let rig = Rig(.server, peerWindow: 1_000_000)
        let socket = try rig.visitor(2, Rig.policy(bytesPerSecond: 1_000))
        socket.brings(ByteBuffer(repeating: 0x61, count: 70_000))
        socket.brings("the end")
        #expect(rig.sent() == ["DATA 2 of 70000"])
        socket.bringsEnd()
        #expect(rig.sent() == ["DATA 2 the end", "END 2"])
    }

    @Test("a socket that took bytes beyond its bandwidth has its credit later")
    func creditRests() throws {
        let rig = Rig(.server) { $0.initialWindow = 80_000 }
        let socket = try rig.visitor(2, Rig.policy(bytesPerSecond: 1_000))
        try rig.receive(.data(2, count: 65_536))
        try rig.receive(.data(2, count: 4_000))
        #expect(socket.farSide.utf8.count == 69_536)
        #expect(rig.sent() == ["CREDIT 2 to 145536"], "for those within it")
        rig.loop.advanceTime(by: .seconds(3))
        try rig.receive(.end(2))
        #expect(rig.streamCount == 1, "4,000 bytes are not told yet")
        socket.bringsEnd()
        #expect(rig.sent() == ["END 2"] && rig.streamCount == 1)
        rig.loop.advanceTime(by: .seconds(1))
        #expect(rig.streamCount == 0)
    }

    // MARK: The session's end

    @Test("the end of the session resets every socket once it has taken what came before")
    func sessionEnds() throws {
        let rig = Rig(.client)
        let (idle, busy) = (try rig.service(2), try rig.service(4))
        busy.takes(2)
        try rig.receive(.data(4, "hello"))
        rig.end()
        #expect(rig.sent() == ["GOAWAY code 6"] && rig.carrier.end == "close 1001")
        #expect(rig.told == ["ended: by this end"])
        #expect(idle.farSide == "<RST>" && idle.isClosed)
        #expect(busy.farSide == "he" && !busy.isClosed)
        busy.takesAll()
        rig.loop.run()
        #expect(busy.farSide == "hello<RST>" && busy.isClosed)
    }

    @Test("a stream that has ended in order while its socket drains outlives the session: its last byte, then FIN")
    func detached() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(4)
        socket.bringsEnd()
        try rig.receive(.data(2, "hello"), .end(2))
        #expect(rig.sent() == ["END 2"])
        rig.end()
        #expect(socket.farSide == "hell" && !socket.isClosed)
        socket.takes(1)
        rig.loop.run()
        #expect(socket.farSide == "hello<FIN>" && socket.isClosed)
    }

    @Test("for 60 s; then it is reset")
    func detachedPatience() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(4)
        socket.bringsEnd()
        try rig.receive(.data(2, "hello"), .end(2))
        rig.end()
        rig.loop.advanceTime(by: .milliseconds(59_999))
        #expect(!socket.isClosed)
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(socket.farSide == "hell<RST>" && socket.isClosed)
    }

    @Test("a stream of which only one direction has ended is reset with the session")
    func halfEnded() throws {
        let rig = Rig(.client)
        let (first, second) = (try rig.service(2), try rig.service(4))
        first.bringsEnd()
        second.takes(0)
        try rig.receive(.data(4, "hello"), .end(4))
        rig.end()
        second.takesAll()
        rig.loop.run()
        #expect(first.farSide == "<RST>" && second.farSide == "hello<RST>")
    }

    @Test("a visitor that waits for a stream is no stream: the session's end leaves it to the role")
    func waitingVisitor() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        rig.end()
        #expect(!socket.isClosed && rig.isWaiting(socket))
    }
}
