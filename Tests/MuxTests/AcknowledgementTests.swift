import NIOCore
import Testing

@testable import Mux

/// Numbering, acknowledgement and the replay buffer (protocol page, section 6).
@Suite struct AcknowledgementTests {
    /// Limits under which a missing acknowledgement causes no PING.
    private let withoutAckTimeout = limits { $0.ackPatience = .seconds(3_600) }

    @Test("received frames are acknowledged after 20 ms, not earlier")
    func delay() throws {
        var server = try serverWithStream()
        _ = server.frames(.at(.seconds(1)))
        let begun = Duration.seconds(2)
        #expect(server.kind(of: frame(.data, 2, bytes(1)), now: .at(begun)) == nil)
        #expect(server.kind(of: frame(.data, 2, bytes(1)), now: .at(begun + .milliseconds(19))) == nil)
        #expect(server.deadline == .start, "the first ping is due")
        #expect(server.sent(.at(begun + .nanoseconds(19_999_999))) == [])
        let acks = server.frames(.at(begun + .milliseconds(20)))
        #expect(acks.map(\.short) == ["ack"] && acks.map(\.number) == [3], "the accept counts too")
        #expect(server.sent(.at(.seconds(9))) == [], "once")
    }

    @Test("received frames are acknowledged at once after 65,280 bytes, headers included", arguments: [65_272, 65_271])
    func size(payload: Int) throws {
        var acknowledger = Acknowledger(limits: MuxLimits())
        acknowledger.receive(payload + 8, now: .start)
        #expect(acknowledger.take(now: .start) == (payload == 65_272 ? 1 : nil))
        #expect(acknowledger.deadline == (payload == 65_272 ? nil : .at(.milliseconds(20))))
        #expect(acknowledger.take(now: .at(.milliseconds(20))) == (payload == 65_272 ? nil : 1))
    }

    @Test("the session's deadline is the acknowledgement's if that is earlier")
    func deadline() throws {
        var server = try serverWithStream(withoutAckTimeout)
        _ = server.frames(.at(.seconds(1)))
        try server.tick(now: .at(.seconds(1)))
        let ping = try #require(server.frames(.at(.seconds(1))).first)
        try server.receive(frame(.pong, number: ping.number), now: .at(.seconds(1)))
        #expect(server.deadline >= .at(.seconds(17)))
        try server.receive(frame(.data, 2, bytes(1)), now: .at(.seconds(2)))
        #expect(server.deadline == .at(.milliseconds(2_020)))
    }

    @Test("a due acknowledgement without room on the carrier does not wake the caller repeatedly")
    func dueWithoutRoom() throws {
        var server = try serverWithStream(withoutAckTimeout)
        try server.tick(now: .start)
        let ping = try #require(server.frames(.at(.seconds(1))).first { $0.header.type == .ping })
        try server.receive(frame(.pong, number: ping.number), now: .at(.seconds(1)))
        try server.receive(frame(.data, 2, bytes(1)), now: .at(.seconds(2)))
        try server.tick(now: server.deadline)
        #expect(server.deadline > .at(.seconds(3)), "the timer waits for the next ping")
        try server.receive(frame(.data, 2, bytes(1)), now: .at(.seconds(3)))
        #expect(server.deadline > .at(.seconds(4)), "one acknowledgement waits already")
        #expect(server.frames(.at(.seconds(4))).map(\.number) == [3])
        try server.receive(frame(.data, 2, bytes(65_530)), now: .at(.seconds(5)))
        #expect(server.deadline > .at(.seconds(6)))
        #expect(server.sent(.at(.seconds(6))).contains("ack"))
    }

    @Test("PING, PONG and ACK are not counted; all other frames are")
    func counted() throws {
        var server = session(.server)
        try server.tick(now: .start)
        _ = server.open(visit, now: .start)
        try server.receive(frame(.ping, number: 4), now: .start)
        #expect(server.sent(.at(.seconds(1))) == ["ping", "pong", "open 2"])
        #expect(server.kind(of: frame(.ack, number: 2)) == .acknowledgement)
        var same = server
        #expect(same.kind(of: frame(.ack, number: 1)) == nil)
        #expect(same.holdings.replayBytes == 0)
    }

    @Test("an acknowledgement beyond the sent frames, or below the last one, ends the session")
    func range() throws {
        for (count, expected) in [(UInt64(4), MuxError.Kind?.none), (5, .acknowledgement), (.max, .acknowledgement)] {
            var server = session(.server)
            for _ in 0..<4 { _ = server.open(visit, now: .start) }
            _ = server.frames()
            #expect(server.kind(of: frame(.ack, number: 2)) == nil)
            #expect(server.kind(of: frame(.ack, number: count)) == expected)
            #expect(server.kind(of: frame(.ack, number: 1)) == .acknowledgement)
        }
        var queued = session(.server)
        _ = queued.open(visit, now: .start)
        #expect(queued.kind(of: frame(.ack, number: 1)) == .acknowledgement, "queued is not sent")
    }

    @Test("a full replay buffer stops counted frames, not the ACKs that empty the peer's buffer")
    func full() throws {
        let limits = limits {
            $0.replayBytes = 2 * (5_000 + 8 + MuxLimits.frameCost); $0.initialWindow = 100_000
        }
        var server = try serverWithStream(limits)
        try server.receive(frame(.ack, number: 1), now: .start)
        for _ in 0..<10 { server.write(two, bytes(5_000)) }
        #expect(server.sent() == ["data 2", "data 2"], "the replay buffer is full")
        #expect(server.holdings.replayBytes == 10_016)
        server.reset(two, .connectionReset)
        try server.receive(frame(.ping, number: 1), now: .start)
        try server.receive(frame(.data, 2, bytes(1)), now: .start)
        #expect(server.sent(.at(.seconds(1))) == ["pong", "ack"])
        try server.receive(frame(.ack, number: 2), now: .start)
        #expect(server.sent(.at(.seconds(1))) == ["data 2"])
        try server.receive(frame(.ack, number: 4), now: .start)
        try server.tick(now: .at(.seconds(5)))
        #expect(server.sent(.at(.seconds(5))).contains("reset 2"), "a reset overtakes after 5 s")
    }

    @Test("while one byte is missing to the bound of unacknowledged bytes, a whole frame is sent; then none")
    func nearlyFull() throws {
        for (more, isSent) in [(1, true), (0, false)] {
            let first = 1_008 + MuxLimits.frameCost
            var server = try serverWithStream(limits { $0.replayBytes = first + more })
            // OPEN is acknowledged.
            try server.receive(frame(.ack, number: 1), now: .start)
            server.write(two, bytes(1_000))
            #expect(server.sent() == ["data 2"])
            server.write(two, bytes(60_000))
            #expect(server.sent().isEmpty != isSent, "\(more) bytes below the bound")
        }
    }

    @Test("exactly the frames that the peer has not received are sent again, in the old order", arguments: 0...5)
    func replay(received: Int) throws {
        var replay = ReplayBuffer()
        let frames = (1...5).map { OutboundFrame(.data, two, bytes($0)) }
        for frame in frames { replay.append(frame, .any) }
        for _ in 0..<2 {
            try replay.rewind(to: UInt64(received))
            #expect(replay.allRepeated() == Array(frames[received...]), "each carrier repeats all of them")
            #expect(replay.bytes == frames[received...].reduce(0) { $0 + $1.length })
        }
        #expect(kind { () throws(MuxError) in try replay.rewind(to: 6) } == .acknowledgement)
        if received > 0 {
            #expect(kind { () throws(MuxError) in try replay.rewind(to: 0) } == .acknowledgement)
        }
    }

    @Test("frames that are acknowledged while others are sent again are not sent again", arguments: 0...5)
    func acknowledgedMeanwhile(acknowledged: Int) throws {
        var replay = ReplayBuffer()
        let frames = (1...5).map { OutboundFrame(.data, two, bytes($0)) }
        for frame in frames { replay.append(frame, .any) }
        try replay.rewind(to: 0)
        #expect(replay.nextToRepeat(.any) == frames[0] && replay.nextToRepeat(.any) == frames[1])
        _ = try replay.acknowledge(UInt64(acknowledged))
        let next = OutboundFrame(.end, two)
        replay.append(next, .any)
        #expect(replay.allRepeated() == frames[max(2, acknowledged)...] + [next])
        #expect(replay.nextToRepeat(.any) == nil, "nothing else is repeated")
    }
}

extension ReplayBuffer {
    fileprivate mutating func allRepeated() -> [OutboundFrame] {
        var all: [OutboundFrame] = []
        while let frame = nextToRepeat(.any) { all.append(frame) }
        return all
    }
}

extension PathEstimate.Sample {
    /// An arbitrary sample.
    fileprivate static var any: PathEstimate.Sample {
        CongestionWindow(ackDelay: .zero, now: .start).sample(now: .start)
    }
}
