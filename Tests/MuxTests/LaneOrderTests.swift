import NIOCore
import Testing

@testable import Mux

/// Bytes that arrive before earlier ones, because they took another lane (protocol page, sections 3 and 4).
@Suite struct LaneOrderTests {
    private static let text = "0123456789"

    /// A part of the text.
    private static func piece(_ range: Range<Int>) -> InboundFrame {
        data(2, at: UInt64(range.lowerBound), buffer(String(text.dropFirst(range.lowerBound).prefix(range.count))))
    }

    /// A server's session with stream 2 and two lanes.
    private func server(_ limits: MuxLimits = MuxLimits()) throws -> Session {
        var server = try serverWithStream(limits)
        try server.open(lanes: 1...1)
        return server
    }

    @Test(
        "the pieces of a stream are delivered in order, once, in whatever order they arrive and whatever overlaps",
        arguments: [
            [0..<2, 2..<5, 5..<6, 6..<9, 9..<10],
            [0..<10, 0..<10, 3..<4],
            [0..<4, 2..<7, 5..<10, 6..<8],
            [0..<1, 1..<9, 2..<8, 3..<7, 9..<10],
            [0..<6, 0..<3, 3..<10, 9..<10, 1..<2],
        ]
    )
    func orders(pieces: [Range<Int>]) throws {
        for order in permutations(of: pieces) {
            for endsFirst in [true, false] {
                var server = try server()
                var delivered = ""
                if endsFirst { #expect(server.kind(of: frame(.end, 2, number: 10), on: 0) == nil) }
                for (index, range) in order.enumerated() {
                    #expect(server.kind(of: Self.piece(range), on: UInt32(index % 2)) == nil)
                    delivered += server.delivered()
                }
                if !endsFirst {
                    #expect(delivered == Self.text && server.holdings.bufferedBytes == 10, "\(order)")
                    #expect(server.kind(of: frame(.end, 2, number: 10), on: 1) == nil)
                    delivered += server.delivered()
                }
                // A duplicate behind the END would reset the stream, so the last piece may only be the missing one.
                if !endsFirst { #expect(delivered == Self.text + "<END>", "\(order)") }
                if endsFirst { #expect(delivered.hasPrefix(Self.text + "<END>"), "\(order): \(delivered)") }
            }
        }
    }

    @Test("END and RESET wait for the bytes before them, and no byte is delivered twice", arguments: [true, false])
    func endWaits(isReset: Bool) throws {
        var server = try server()
        let end = isReset ? ResetCode.refused.frame(two, after: 3).arrived : frame(.end, 2, number: 3)
        #expect(server.kind(of: end, on: 0) == nil)
        #expect(server.delivered().isEmpty)
        #expect(server.kind(of: Self.piece(1..<3), on: 1) == nil)
        #expect(server.delivered().isEmpty && server.holdings.bufferedBytes > 2)
        #expect(server.kind(of: Self.piece(0..<1), on: 1) == nil)
        #expect(server.delivered() == "012" + (isReset ? "<RESET>" : "<END>"))
        server.consumed(two, 3, now: .start)
        #expect(server.holdings.bufferedBytes == 0)
        if isReset { #expect(server.streamCount == 0) }
    }

    @Test("M31 a second END or RESET with the same offset is harmless while the first one waits")
    func sameEnd() throws {
        var server = try server()
        for _ in 0..<2 { #expect(server.kind(of: frame(.end, 2, number: 3), on: 0) == nil) }
        #expect(server.kind(of: ResetCode.refused.frame(two, after: 3).arrived, on: 1) == nil)
        #expect(server.kind(of: Self.piece(0..<3), on: 1) == nil)
        #expect(server.delivered() == "012<RESET>")
    }

    @Test(
        "M31 M36 DATA beyond END or RESET, and an END or RESET before bytes that have come, end the session",
        arguments: [true, false]
    )
    func beyondEnd(isReset: Bool) throws {
        func end(_ offset: UInt64) -> InboundFrame {
            isReset ? ResetCode.refused.frame(two, after: offset).arrived : frame(.end, 2, number: offset)
        }
        var late = try server()
        #expect(late.kind(of: end(3), Self.piece(2..<4), on: 0) == .malformedPayload, "one byte beyond the end")
        var early = try server()
        #expect(early.kind(of: Self.piece(2..<4), end(3), on: 0) == .malformedPayload, "one byte less than came")
        var other = try server()
        #expect(other.kind(of: end(3), end(4), on: 0) == .malformedPayload, "another end")
        var delivered = try server()
        #expect(delivered.kind(of: Self.piece(0..<3), end(2), on: 0) == .malformedPayload)
        var exact = try server()
        #expect(exact.kind(of: end(3), Self.piece(2..<3), Self.piece(0..<2), on: 0) == nil)
    }

    @Test("M11 bytes that wait for earlier ones count against the credit: one beyond it ends the session")
    func credit() throws {
        func server() throws -> Session { try self.server(limits { $0.initialWindow = 1_000 }) }
        var exact = try server()
        #expect(exact.kind(of: data(2, at: 900, bytes(100)), on: 1) == nil)
        #expect(exact.kind(of: data(2, at: 900, bytes(101)), on: 1) == .creditOverrun)
        for offset in [1_000, UInt64.max - 1, .max] {
            var beyond = try server()
            #expect(beyond.kind(of: data(2, at: offset, bytes(2)), on: 1) == .creditOverrun, "\(offset)")
        }
        var end = try server()
        #expect(end.kind(of: frame(.end, 2, number: 1_001), on: 1) == .creditOverrun)
        var reset = try server()
        #expect(reset.kind(of: ResetCode.refused.frame(two, after: 1_001).arrived, on: 1) == .creditOverrun)
    }

    @Test("M37 bytes that wait count against the memory with their storage: thousands of single bytes reset the stream")
    func memory() throws {
        var server = try server(limits { $0.bufferedBytes = 200_000 })
        // One read of 64 KiB, of which each frame is a slice.
        let read = bytes(65_536)
        var pieces = 0
        while server.streamCount > 0, pieces < 30_000 {
            let slice = try #require(read.getSlice(at: 2 * pieces, length: 1))
            #expect(server.kind(of: data(2, at: UInt64(2 * pieces + 1), slice), on: 1) == nil)
            pieces += 1
        }
        #expect(server.actions() == [.abort(two, .busy)] && server.sent(on: 0) == ["reset 2"])
        #expect((1_000...1_600).contains(pieces), "\(pieces) pieces")
        #expect(server.holdings.bufferedBytes == 0)
    }

    @Test("the memory of bytes that wait is free once they are delivered or their stream is gone")
    func freed() throws {
        func server() throws -> Session {
            var server = try self.server()
            #expect(server.kind(of: Self.piece(1..<2), Self.piece(3..<4), on: 1) == nil)
            #expect(server.holdings.bufferedBytes > 2 * MuxLimits.frameCost)
            return server
        }
        var gone = try server()
        gone.reset(two, .connectionReset)
        #expect(gone.holdings.bufferedBytes == 0)
        var server = try server()
        #expect(server.kind(of: Self.piece(0..<1), Self.piece(2..<3), on: 0) == nil)
        #expect(server.delivered() == "0123" && server.holdings.bufferedBytes == 4)
        server.consumed(two, 4, now: .start)
        #expect(server.holdings.bufferedBytes == 0)
    }

    @Test("M12 CREDIT may arrive behind a later one on another lane, and grants nothing, however often")
    func overtakenCredit() throws {
        var server = try serverWithStream(window: 100)
        try server.open(lanes: 1...1)
        #expect(server.kind(of: frame(.credit, 2, number: 500), on: 1) == nil)
        for _ in 0..<1_000 { #expect(server.kind(of: frame(.credit, 2, number: 300), on: 0) == nil) }
        #expect(server.accepts(two, bytes(600)) == false)
        #expect(server.frames(on: 0).map(\.payload.readableBytes) == [500])
        var tooFar = server
        #expect(tooFar.kind(of: frame(.credit, 2, number: (1 << 32) + 501), on: 0) == .creditRange)
        for _ in 0..<200 { #expect(server.kind(of: frame(.credit, 2, number: 500), on: 0) == nil) }
        #expect(server.kind(of: frame(.credit, 2, number: 500), on: 0) == .flood, "the same offset is an anomaly")
    }

    @Test("M12 a lower offset ends the session until a further lane was asked for, and not after it is gone")
    func lowerOffset() throws {
        var client = try clientWithStream(window: 100)
        #expect(client.kind(of: frame(.credit, 2, number: 500)) == nil)
        var one = client
        #expect(one.kind(of: frame(.credit, 2, number: 499)) == .creditRange)
        #expect(client.requestLane() == LaneID(1))
        #expect(client.kind(of: frame(.credit, 2, number: 499)) == nil)
        client.abandonLane(LaneID(1))
        #expect(client.kind(of: frame(.credit, 2, number: 498)) == nil)
        var server = try serverWithStream(window: 100)
        #expect(server.kind(of: frame(.credit, 2, number: 500)) == nil)
        try server.open(lanes: 1...1)
        #expect(server.kind(of: retire(1, received: 0), on: 0) == nil)
        #expect(server.laneIDs == [.first])
        #expect(server.kind(of: frame(.credit, 2, number: 499)) == nil)
    }

    @Test("M16 in a session that has had one lane only, END and RESET follow their bytes")
    func oneLane() throws {
        var server = try serverWithStream()
        #expect(server.kind(of: frame(.end, 2, number: 3)) == .malformedPayload)
    }
}
