import NIOCore
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Credit, the carrier's room and the kernel's: how a slow reader stops a fast writer.
@Suite("Back-pressure on a stream's socket") struct BackPressureTests {
    @Test("credit goes back for bytes that the socket has taken, and not for those that it holds")
    func creditMeansTaken() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        try rig.receive(.data(2, count: 65_536))
        #expect(rig.sent().isEmpty)
        socket.takes(65_535)
        rig.loop.run()
        #expect(rig.sent().isEmpty, "it is told of them once all that was buffered has been taken")
        socket.takes(1)
        rig.loop.run()
        #expect(rig.sent() == ["CREDIT 2 to 131072"])
    }

    @Test("credit goes back as soon as half a window has been taken")
    func creditAtHalf() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, count: 32_767))
        #expect(rig.sent().isEmpty)
        try rig.receive(.data(2, count: 1))
        #expect(rig.sent() == ["CREDIT 2 to 98304"])
        #expect(socket.farSide.utf8.count == 32_768)
    }

    @Test("no credit goes back once the peer has ended its direction")
    func noCreditAfterEnd() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.takes(0)
        try rig.receive(.data(2, count: 65_536), .end(2))
        socket.takesAll()
        #expect(rig.sent().isEmpty)
    }

    @Test("a socket whose stream has used its credit up is read once more, then no more until there is some")
    func withoutCredit() throws {
        let rig = Rig(.client, peerWindow: 4)
        let socket = try rig.service()
        #expect(socket.isReading)
        socket.brings("hello")
        #expect(rig.sent() == ["DATA 2 hell"] && socket.isReading)
        socket.brings(" world")
        #expect(rig.sent().isEmpty && !socket.isReading)
        try rig.receive(.credit(2, to: 100))
        #expect(rig.sent() == ["DATA 2 o world"] && socket.isReading)
    }

    @Test("a socket is not read while 64 KiB of it wait for the carrier")
    func carrierWithoutRoom() throws {
        let rig = Rig(.client, peerWindow: 1_000_000)
        let socket = try rig.service()
        rig.carrier.isWritable = false
        socket.brings(ByteBuffer(repeating: 0x61, count: 65_535))
        #expect(rig.sent().isEmpty && socket.isReading)
        socket.brings("x")
        #expect(rig.sent().isEmpty && !socket.isReading)
        rig.carrierTakesFrames()
        #expect(rig.sent() == ["DATA 2 of 65536"] && socket.isReading)
    }

    @Test("a socket that does not take its bytes holds up no other")
    func otherStreams() throws {
        let rig = Rig(.client)
        let (slow, quick) = (try rig.service(2), try rig.service(4))
        slow.takes(0)
        try rig.receive(.data(2, "waits"), .data(4, "goes"))
        #expect(slow.farSide == "" && quick.farSide == "goes")
        try rig.receive(.data(2, " too"), .data(4, " on"), .end(4))
        slow.takesAll()
        rig.loop.run()
        #expect(slow.farSide == "waits too" && quick.farSide == "goes on<FIN>")
    }

    @Test("one byte more than was granted ends the session: code 5, Close 1002, every stream reset")
    func overrun() throws {
        let rig = Rig(.client)
        let (first, second) = (try rig.service(2), try rig.service(4))
        first.takes(0)
        try rig.receive(.data(2, count: 65_536), .data(2, count: 1))
        #expect(rig.sent() == ["GOAWAY code 5"])
        #expect(rig.carrier.end == "close 1002" && rig.told == ["ended: violation"])
        #expect(second.farSide == "<RST>" && second.isClosed)
    }
}
