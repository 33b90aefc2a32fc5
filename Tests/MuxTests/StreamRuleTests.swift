import NIOCore
import Testing

@testable import Mux

/// The life of a stream, and breaches of its rules (protocol page, section 3).
@Suite struct StreamRuleTests {
    @Test("a stream opens, carries bytes, ends in one direction, then in the other, and is removed")
    func life() throws {
        var server = session(.server)
        var client = session(.client)
        func cross() throws(MuxError) {
            for _ in 0..<3 {
                for frame in server.frames() { try client.receive(frame.arrived, now: .start) }
                for frame in client.frames() { try server.receive(frame.arrived, now: .start) }
            }
        }
        let opened = server.open(visit, now: .start)
        let id = try #require(opened)
        #expect(server.accepts(id, buffer("early")) == true)
        try cross()
        #expect(client.actions() == [.open(id, visit), .deliver(id, buffer("early"))])
        client.consumed(id, 5, now: .start)
        client.accept(id, now: .start)
        server.finish(id)
        try cross()
        #expect(client.actions() == [.end(id)])
        #expect(server.actions() == [.accepted(id)])
        #expect(client.accepts(id, buffer("answer")) == true)
        client.finish(id)
        try cross()
        #expect(client.actions() == [.closed(id)])
        #expect(server.actions() == [.deliver(id, buffer("answer")), .end(id)])
        #expect(server.streamCount == 1, "its last bytes still count")
        server.consumed(id, 6, now: .start)
        #expect(server.actions() == [.closed(id)])
        #expect(server.streamCount == 0 && client.streamCount == 0)
    }

    @Test("M6 a client opens streams with odd numbers alone, and a server with even ones")
    func wrongOpener() {
        var server = session(.server)
        #expect(server.kind(of: openFrame(2)) == .streamNumber)
        #expect(server.actions().isEmpty && server.streamCount == 0)
        var client = session(.client)
        #expect(client.kind(of: openFrame(3)) == .streamNumber)
        #expect(client.actions().isEmpty && client.streamCount == 0)
    }

    @Test("M7 a stream number that is not higher than all before ends the session", arguments: [UInt32(2), 4])
    func rising(second: UInt32) throws {
        var client = session(.client)
        #expect(client.kind(of: openFrame(4), openFrame(second)) == .streamNumber)
        var gone = session(.client)
        #expect(gone.kind(of: openFrame(4), resetFrame(4), openFrame(second)) == .streamNumber)
        var skipped = session(.client)
        #expect(skipped.kind(of: openFrame(4), openFrame(8), openFrame(.max - 1)) == nil)
    }

    @Test("M7 near the last number the session reports it; after the last number it opens no stream and does not trap")
    func exhausted() throws {
        var server = session(.server)
        #expect(!server.isNearExhaustion)
        server.streams.next = StreamID(.max - StreamID.reserve - 1)
        #expect(!server.isNearExhaustion)
        #expect(server.open(visit, now: .start) != nil)
        #expect(server.isNearExhaustion && server.hasRoom)
        server.streams.next = StreamID(.max - 1)
        #expect(server.open(visit, now: .start) == StreamID(.max - 1))
        #expect(!server.hasRoom && server.isNearExhaustion)
        #expect(server.open(visit, now: .start) == nil)
        #expect(server.kind(of: frame(.accept, .max - 1), frame(.data, .max - 1, bytes(1))) == nil)
    }

    @Test(
        "M16 a frame on a number that was never opened ends the session",
        arguments: [FrameType.data, .end, .reset, .credit, .accept]
    )
    func idle(type: FrameType) throws {
        let payload =
            switch type {
            case .reset: ResetCode.refused.frame(two, after: 0).payload
            case .end: ByteBuffer(integer: UInt64(0))
            case .credit: ByteBuffer(integer: UInt64(1 << 20))
            default: ByteBuffer()
            }
        for id in [4, 6, UInt32.max - 1] {
            var server = try serverWithStream()
            #expect(server.kind(of: frame(type, id, payload)) == .streamNumber)
        }
        for id in [UInt32(1), 3] {
            var server = try serverWithStream()
            #expect(server.kind(of: frame(type, id, payload)) != nil)
            var client = try clientWithStream()
            #expect(client.kind(of: frame(type, id, payload)) == .streamNumber)
        }
    }

    @Test(
        "M17 M28 frames on a stream that has ended are ignored in any number, since they may cross with the end",
        arguments: [
            Role.client, .server,
        ]
    )
    func late(role: Role) throws {
        for isReset in [false, true] {
            var end = try role == .server ? serverWithStream() : clientWithStream()
            if isReset {
                end.reset(two, .connectionReset)
            } else {
                end.finish(two)
                try end.receive(frame(.end, 2), now: .start)
            }
            _ = end.frames()
            _ = end.actions()
            #expect(end.streamCount == 0)
            for _ in 0..<1_000 {
                #expect(end.kind(of: frame(.data, 2, bytes(65_536)), frame(.credit, 2, number: 0)) == nil)
                #expect(end.kind(of: frame(.end, 2), resetFrame(2)) == nil)
            }
            #expect(end.actions().isEmpty)
            #expect(end.sent().allSatisfy { $0 == "ack" }, "they get no answer")
            #expect(end.holdings.bufferedBytes == 0)
        }
    }

    @Test("M16 data after the peer's end resets the stream at both ends")
    func dataAfterEnd() throws {
        var server = try serverWithStream()
        #expect(server.kind(of: frame(.end, 2), frame(.data, 2, bytes(1))) == nil)
        #expect(server.actions() == [.end(two), .abort(two, .protocolViolation)])
        #expect(server.sent() == ["reset 2"])
        #expect(server.holdings.streams == 0)
    }

    @Test("M17 a second END is ignored and counted")
    func secondEnd() throws {
        var server = try serverWithStream()
        #expect(server.kind(of: frame(.end, 2)) == nil)
        for _ in 0..<200 { #expect(server.kind(of: frame(.end, 2)) == nil) }
        #expect(server.kind(of: frame(.end, 2)) == .flood)
        #expect(server.actions() == [.end(two)])
    }

    @Test("M17 a reset is reported once, whichever end sends it and however often")
    func resetOnce() throws {
        var server = try serverWithStream()
        #expect(server.kind(of: resetFrame(2, .refused), resetFrame(2), frame(.end, 2)) == nil)
        server.reset(two, .timeout)
        #expect(server.actions() == [.reset(two, .refused)])
        #expect(server.sent() == [], "a reset needs no answer")
        var client = try clientWithStream()
        client.reset(two, .refused)
        client.reset(two, .refused)
        #expect(client.sent() == ["reset 2"])
        #expect(client.actions().isEmpty, "the end that resets gets no action")
    }

    @Test("M21 an ACCEPT is legal once, from the accepting end")
    func accept() throws {
        var server = session(.server)
        _ = server.open(visit, now: .start)
        #expect(server.kind(of: frame(.accept, 2)) == nil)
        #expect(server.kind(of: frame(.accept, 2)) == .unexpectedFrame)
        var client = session(.client)
        #expect(client.kind(of: openFrame(2), frame(.accept, 2)) == .unexpectedFrame)
        var twice = try clientWithStream()
        twice.accept(two, now: .start)
        #expect(twice.sent() == [])
        var own = session(.server)
        _ = own.open(visit, now: .start)
        own.accept(two, now: .start)
        #expect(own.sent() == ["open 2"], "an end does not accept its own stream")
    }

    @Test("M21 the accepting end sends nothing before it has accepted", arguments: [FrameType.data, .end])
    func beforeAccept(type: FrameType) throws {
        var server = session(.server)
        _ = server.open(visit, now: .start)
        #expect(server.kind(of: frame(type, 2)) == .unexpectedFrame)
        var client = session(.client)
        #expect(client.kind(of: openFrame(2), frame(.data, 2, bytes(1)), frame(.end, 2)) == nil, "the opener may")
    }

    @Test("M22 after both directions have ended, in either order, the stream is removed")
    func bothEnds() throws {
        var first = try serverWithStream()
        first.finish(two)
        #expect(first.sent() == ["end 2"])
        #expect(first.kind(of: frame(.end, 2)) == nil)
        #expect(first.actions() == [.end(two), .closed(two)])
        var second = try serverWithStream()
        #expect(second.kind(of: frame(.end, 2)) == nil)
        second.finish(two)
        second.finish(two)
        #expect(second.actions() == [.end(two)])
        #expect(second.sent() == ["end 2"])
        #expect(second.actions() == [.closed(two)])
        #expect(first.holdings.streams + second.holdings.streams == 0)
    }

    @Test("M10 a stream that is reset before it is accepted leaves no state")
    func rapidReset() throws {
        var client = session(.client)
        for number in stride(from: UInt32(2), to: 20_002, by: 2) {
            #expect(client.kind(of: openFrame(number), resetFrame(number)) == nil)
            let id = StreamID(number)
            #expect(client.actions() == [.open(id, visit), .reset(id, .connectionReset)])
        }
        #expect(client.holdings == Session.Holdings())
        var server = session(.server)
        for number in stride(from: UInt32(2), to: 2_002, by: 2) {
            #expect(server.open(visit, now: .start) == StreamID(number))
            server.reset(StreamID(number), .connectionReset)
        }
        #expect(server.holdings.opening == 0 && server.holdings.streams == 0)
    }
}
