import NIOCore
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Back-pressure by credit, by the carrier and by the kernel's buffers.
@Suite("Back-pressure on a stream's socket") struct BackPressureTests {
    @Test("Credit is granted for bytes that the kernel has accepted, and not for buffered bytes")
    func creditMeansTaken() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        try rig.receive(.data(2, count: 65_280), .data(2, count: 256))
        #expect(rig.sent().isEmpty)
        socket.acceptWrites(65_535)
        rig.loop.run()
        #expect(rig.sent().isEmpty, "credit waits until the buffer is empty")
        socket.acceptWrites(1)
        rig.loop.run()
        #expect(rig.sent() == ["CREDIT 2 to 131072"])
    }

    @Test("Credit is granted as soon as the kernel has accepted half a window")
    func creditAtHalf() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        try rig.receive(.data(2, count: 32_767))
        #expect(rig.sent().isEmpty)
        try rig.receive(.data(2, count: 1))
        #expect(rig.sent() == ["CREDIT 2 to 98304"])
        #expect(socket.farSide.utf8.count == 32_768)
    }

    @Test("No credit is granted after the peer's END")
    func noCreditAfterEnd() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        socket.acceptWrites(0)
        try rig.receive(.data(2, count: 65_280), .data(2, count: 256), .end(2))
        socket.acceptAllWrites()
        #expect(rig.sent().isEmpty)
    }

    @Test("A socket without credit is read once more, and then not until credit arrives")
    func withoutCredit() throws {
        let rig = Rig(.client, peerWindow: 4)
        let socket = try rig.service()
        #expect(socket.isReading)
        socket.farSideSends("hello")
        #expect(rig.sent() == ["DATA 2 hell"] && socket.isReading)
        socket.farSideSends(" world")
        #expect(rig.sent().isEmpty && !socket.isReading)
        try rig.receive(.credit(2, to: 100))
        #expect(rig.sent() == ["DATA 2 o world"] && socket.isReading)
    }

    @Test("A socket is not read while 64 KiB of its bytes wait for the carrier")
    func carrierWithoutRoom() throws {
        let rig = Rig(.client, peerWindow: 1_000_000)
        let socket = try rig.service()
        rig.carrier.isWritable = false
        socket.farSideSends(ByteBuffer(repeating: 0x61, count: 65_535))
        #expect(rig.sent().isEmpty && socket.isReading)
        socket.farSideSends("x")
        #expect(rig.sent().isEmpty && !socket.isReading)
        rig.makeCarrierWritable()
        #expect(rig.sent() == ["DATA 2 of 65536"] && socket.isReading)
    }

    @Test("A blocked socket does not delay others")
    func otherStreams() throws {
        let rig = Rig(.client)
        let (slow, quick) = (try rig.service(2), try rig.service(4))
        slow.acceptWrites(0)
        try rig.receive(.data(2, "waits"), .data(4, "goes"))
        #expect(slow.farSide == "" && quick.farSide == "goes")
        try rig.receive(.data(2, " too"), .data(4, " on"), .end(4))
        slow.acceptAllWrites()
        rig.loop.run()
        #expect(slow.farSide == "waits too" && quick.farSide == "goes on<FIN>")
    }

    @Test("M11 one byte beyond the credit ends the session: code 5, Close 1002, and every stream is reset")
    func overrun() throws {
        let rig = Rig(.client)
        let (first, second) = (try rig.service(2), try rig.service(4))
        first.acceptWrites(0)
        try rig.receive(.data(2, count: 65_280), .data(2, count: 256), .data(2, count: 1))
        #expect(rig.sent() == ["GOAWAY code 5"])
        #expect(rig.carrier.end == "close 1002" && rig.reports == ["ended: violation"])
        #expect(second.farSide == "<RST>" && second.isClosed)
    }
}
