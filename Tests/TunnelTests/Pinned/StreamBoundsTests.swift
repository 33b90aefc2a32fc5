import Mux
import NIOCore
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Idle timeouts and bandwidth of a stream's socket, and its fate at the session's end.
@Suite("Limits of a stream's socket") struct StreamBoundsTests {
    // MARK: Idle timeout and bandwidth

    @Test("An idle socket is reset after its timeout, and so is its stream")
    func silence() throws {
        let rig = Rig(.server)
        let socket = try rig.visitor(2, Rig.policy(idle: .nanoseconds(1)))
        #expect(!socket.isClosed)
        rig.runDueTimers()
        #expect(socket.farSide == "<RST>" && socket.isClosed)
        #expect(rig.sent() == ["RESET 2 code 4"] && rig.streamCount == 0)
    }

    @Test("An idle socket is not reset before its timeout")
    func notYet() throws {
        let rig = Rig(.server)
        let socket = try rig.visitor(2, Rig.policy(idle: .hours(1)))
        rig.runDueTimers()
        #expect(!socket.isClosed && rig.sent().isEmpty)
    }

    @Test("A socket that exceeds its bandwidth is not read for a time, and its bytes are forwarded")
    func readingPauses() throws {
        let rig = Rig(.server, peerWindow: 1_000_000)
        let socket = try rig.visitor(2, Rig.policy(bytesPerSecond: 1_000))
        socket.farSideSends(ByteBuffer(repeating: 0x61, count: 65_536))
        #expect(rig.sent() == ["DATA 2 of 65536"] && socket.isReading, "the burst passes at once")
        socket.farSideSends(ByteBuffer(repeating: 0x61, count: 4_000))
        #expect(rig.sent() == ["DATA 2 of 4000"] && !socket.isReading)
        rig.loop.advanceTime(by: .seconds(3))
        #expect(!socket.isReading)
        rig.loop.advanceTime(by: .seconds(1))
        #expect(socket.isReading)
    }

    @Test("A paused socket is read to its FIN, and END does not wait")
    func endsWhilePaused() throws {
        let rig = Rig(.server, peerWindow: 1_000_000)
        let socket = try rig.visitor(2, Rig.policy(bytesPerSecond: 1_000))
        socket.farSideSends(ByteBuffer(repeating: 0x61, count: 70_000))
        socket.farSideSends("the end")
        #expect(rig.sent() == ["DATA 2 of 70000"])
        socket.farSideSendsFIN()
        #expect(rig.sent() == ["DATA 2 the end", "END 2"])
    }

    @Test("A socket that received bytes beyond its bandwidth grants credit later")
    func creditIsDelayed() throws {
        let rig = Rig(.server) { $0.initialWindow = 80_000 }
        let socket = try rig.visitor(2, Rig.policy(bytesPerSecond: 1_000))
        try rig.receive(.data(2, count: 65_280), .data(2, count: 256))
        try rig.receive(.data(2, count: 4_000))
        #expect(socket.farSide.utf8.count == 69_536)
        #expect(rig.sent() == ["CREDIT 2 to 145536"], "for the bytes within the bandwidth")
        rig.loop.advanceTime(by: .seconds(3))
        try rig.receive(.end(2))
        #expect(rig.streamCount == 1, "4,000 bytes are not granted yet")
        socket.farSideSendsFIN()
        #expect(rig.sent() == ["END 2"] && rig.streamCount == 1)
        rig.loop.advanceTime(by: .seconds(1))
        #expect(rig.streamCount == 0)
    }

    // MARK: The session's end

    @Test("The end of the session resets each socket after it has accepted the bytes before")
    func sessionEnds() throws {
        let rig = Rig(.client)
        let (idle, busy) = (try rig.service(2), try rig.service(4))
        busy.acceptWrites(2)
        try rig.receive(.data(4, "hello"))
        rig.end()
        #expect(rig.sent() == ["GOAWAY code 6"] && rig.carrier.end == "close 1001")
        #expect(rig.reports == ["ended: by this end"])
        #expect(idle.farSide == "<RST>" && idle.isClosed)
        #expect(busy.farSide == "he" && !busy.isClosed)
        busy.acceptAllWrites()
        rig.loop.run()
        #expect(busy.farSide == "hello<RST>" && busy.isClosed)
    }

    @Test("The socket of a finished stream drains after the session's end, and sends FIN")
    func detached() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(4)
        socket.farSideSendsFIN()
        try rig.receive(.data(2, "hello"), .end(2))
        #expect(rig.sent() == ["END 2"])
        rig.end()
        #expect(socket.farSide == "hell" && !socket.isClosed)
        socket.acceptWrites(1)
        rig.loop.run()
        #expect(socket.farSide == "hello<FIN>" && socket.isClosed)
    }

    @Test("The socket of a finished stream is reset 60 s after the session's end")
    func detachedTimeout() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(4)
        socket.farSideSendsFIN()
        try rig.receive(.data(2, "hello"), .end(2))
        rig.end()
        rig.loop.advanceTime(by: .milliseconds(59_999))
        #expect(!socket.isClosed)
        rig.loop.advanceTime(by: .milliseconds(1))
        #expect(socket.farSide == "hell<RST>" && socket.isClosed)
    }

    @Test("A stream with one ended direction is reset with the session")
    func halfEnded() throws {
        let rig = Rig(.client)
        let (first, second) = (try rig.service(2), try rig.service(4))
        first.farSideSendsFIN()
        second.acceptWrites(0)
        try rig.receive(.data(4, "hello"), .end(4))
        rig.end()
        second.acceptAllWrites()
        rig.loop.run()
        #expect(first.farSide == "<RST>" && second.farSide == "hello<RST>")
    }

    @Test("The session's end does not close a visitor that waits for a stream")
    func waitingVisitor() throws {
        let rig = Rig(.server)
        let socket = try rig.waitingVisitor()
        rig.end()
        #expect(!socket.isClosed && rig.isWaiting(socket))
    }
}
