import NIOCore
import Testing

@testable import Mux

/// The longest frames, and one byte more.
@Suite struct FrameLengthTests {
    /// Gives a frame in chunks of `size` bytes; the last is marked as such only if `isClosed`.
    private func run(
        _ type: FrameType,
        _ length: Int,
        admitted: Bool,
        size: Int,
        isClosed: Bool = true
    ) throws(MuxError) -> InboundFrame? {
        var assembler = FrameAssembler()
        assembler.isAdmitted = admitted
        var rest = buffer(OutboundFrame(type, StreamID(type.isOfStream ? 2 : 0), bytes(length)).wire)
        while let chunk = rest.readSlice(length: min(size, rest.readableBytes)) {
            let isLast = rest.readableBytes == 0
            if let frame = try assembler.receive(chunk, isLast: isLast && isClosed) { return frame }
            if isLast { break }
        }
        return nil
    }

    @Test(
        "M19 a payload may have its limit and not one byte more",
        arguments: [
            (FrameType.data, true, 65_280), (.data, false, 4_096), (.bind, true, 4_096), (.authenticate, false, 4_096),
            (.goAway, true, 4_096),
        ]
    )
    func limit(type: FrameType, admitted: Bool, maximum: Int) throws {
        for size in [maximum * 2, maximum + 8, maximum + 7, 4_095, 1_000, 9, 8, 7] {
            let frame = try run(type, maximum, admitted: admitted, size: size)
            #expect(frame?.payloadLength == maximum, "chunks of \(size)")
            #expect(frame?.payload.readableBytes == maximum, "chunks of \(size)")
            let error = kind { () throws(MuxError) in _ = try run(type, maximum + 1, admitted: admitted, size: size) }
            #expect(error == .frameLength, "chunks of \(size)")
        }
    }

    @Test("M19 a frame that is too long is refused before its end has come")
    func early() {
        let error = kind { () throws(MuxError) in
            _ = try run(.data, 65_281, admitted: true, size: 1_000, isClosed: false)
        }
        #expect(error == .frameLength)
    }

    @Test("M27 a payload in single bytes is kept in few chunks, and costs linear time")
    func singleBytes() throws {
        var assembler = FrameAssembler()
        assembler.isAdmitted = true
        let wire = OutboundFrame(.data, two, buffer((0..<65_280).map { UInt8(truncatingIfNeeded: $0) })).wire
        var result: InboundFrame?
        for (index, byte) in wire.enumerated() {
            result = try assembler.receive(buffer([byte]), isLast: index == wire.count - 1)
        }
        let frame = try #require(result)
        #expect(frame.pieces.count == FrameAssembler.maximumChunks)
        #expect(Array(frame.payload.readableBytesView) == Array(wire.dropFirst(8)))
    }

    @Test("an assembler is ready for the next message once one is complete")
    func nextMessage() throws {
        var assembler = FrameAssembler()
        let ping = buffer(OutboundFrame(.ping, number: 9).wire)
        for _ in 0..<3 {
            #expect(try assembler.receive(ping, isLast: true)?.number == 9)
            #expect(try assembler.receive(buffer(hex("2300")), isLast: false) == nil)
            let rest = hex("000000000002 0000000000000000")
            #expect(try assembler.receive(buffer(rest), isLast: true)?.header.type == .end)
        }
    }
}
