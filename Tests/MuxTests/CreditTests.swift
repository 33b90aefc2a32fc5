import NIOCore
import Testing

@testable import Mux

/// Credit and memory (protocol page, section 4).
@Suite struct CreditTests {
    @Test("M11 a window may be used to its last byte, and one more byte ends the session before it is delivered")
    func overrun() throws {
        let limits = limits { $0.initialWindow = 100 }
        var exact = try serverWithStream(limits)
        #expect(exact.kind(of: frame(.data, 2, bytes(60)), frame(.data, 2, bytes(40))) == nil)
        #expect(exact.actions().count == 2)
        #expect(exact.kind(of: frame(.data, 2, bytes(1))) == .creditOverrun)
        #expect(exact.actions().isEmpty)
        var early = session(.client, limits)
        #expect(early.kind(of: openFrame(2), frame(.data, 2, bytes(101))) == .creditOverrun)
        #expect(early.actions().count == 1)
    }

    @Test("M12 credit only increases, by at most 2^32 beyond what was sent, and its arithmetic never traps")
    func range() throws {
        for (offset, expected) in [
            (UInt64(99), MuxError.Kind.creditRange), (0, .creditRange), (100, nil), (101, nil), (1 << 32, nil),
            ((1 << 32) + 1, .creditRange), (1 << 63, .creditRange), (.max, .creditRange),
        ] {
            var server = try serverWithStream(window: 100)
            #expect(server.kind(of: frame(.credit, 2, number: offset)) == expected, "\(offset)")
        }
        var moved = try serverWithStream(window: 100)
        #expect(moved.accepts(two, bytes(100)) == true)
        _ = moved.frames()
        #expect(moved.kind(of: frame(.credit, 2, number: (1 << 32) + 100)) == nil)
        #expect(moved.kind(of: frame(.credit, 2, number: (1 << 32) + 101)) == .creditRange)
    }

    @Test("no byte leaves beyond the credit, and a credit of one byte lets one byte leave")
    func sending() throws {
        var server = try serverWithStream(window: 10)
        #expect(server.accepts(two, bytes(25)) == false)
        #expect(server.frames().map(\.payload.readableBytes) == [10])
        #expect(server.kind(of: frame(.credit, 2, number: 11)) == nil)
        #expect(server.frames().map(\.payload.readableBytes) == [1])
        server.finish(two)
        #expect(server.frames().isEmpty, "the end comes after the bytes")
        #expect(server.kind(of: frame(.credit, 2, number: 1_000)) == nil)
        #expect(server.frames().map(\.short) == ["data 2", "end 2"])
    }

    @Test("a window of zero bytes stops DATA, but not END")
    func zeroWindow() throws {
        var server = try serverWithStream(window: 0)
        server.finish(two)
        #expect(server.sent() == ["end 2"])
    }

    @Test("credit is an offset, and is granted when bytes are consumed, not when they arrive")
    func granting() throws {
        let limits = limits { $0.initialWindow = 100 }
        var server = try serverWithStream(limits)
        #expect(server.kind(of: frame(.data, 2, bytes(100))) == nil)
        #expect(server.frames().isEmpty)
        server.consumed(two, 49, now: .start)
        #expect(server.frames().isEmpty)
        server.consumed(two, 1, now: .start)
        #expect(server.frames().map(\.number) == [150])
        #expect(server.kind(of: frame(.data, 2, bytes(50))) == nil)
        #expect(server.kind(of: frame(.data, 2, bytes(1))) == .creditOverrun)
        server.consumed(two, 1_000, now: .start)
        #expect(server.frames().map(\.number) == [250], "no more is consumed than was received")
    }

    @Test("after the peer's END no credit is granted")
    func noCreditAfterEnd() throws {
        var server = try serverWithStream(limits { $0.initialWindow = 100 })
        #expect(server.kind(of: frame(.data, 2, bytes(100)), frame(.end, 2)) == nil)
        server.consumed(two, 100, now: .start)
        #expect(server.frames().isEmpty)
    }

    @Test("a window that is used within two round trips doubles, up to its limit")
    func growth() throws {
        var credit = ReceiveCredit(window: 600_000, now: .start)
        var now = Instant.start
        func use(in wait: Duration, roundTrip: Duration?, limit: Int = 2_100_000) throws -> UInt64 {
            try credit.receive(Int(credit.granted - credit.received))
            credit.consume(credit.buffered)
            now = now + wait
            _ = credit.nextGrant(now: now, roundTrip: roundTrip, limit: limit, hasRoom: true)
            #expect(credit.granted == credit.consumed + credit.window)
            return credit.window
        }
        #expect(try use(in: .milliseconds(5), roundTrip: nil) == 600_000)
        #expect(try use(in: .milliseconds(20), roundTrip: .milliseconds(10)) == 600_000, "not within two round trips")
        #expect(try use(in: .milliseconds(19), roundTrip: .milliseconds(10)) == 1_200_000)
        #expect(try use(in: .milliseconds(19), roundTrip: .milliseconds(10)) == 2_100_000)
        #expect(try use(in: .milliseconds(19), roundTrip: .milliseconds(10)) == 2_100_000)
        #expect(
            try use(in: .milliseconds(19), roundTrip: .milliseconds(10), limit: 600_000) == 600_000,
            "memory is short"
        )
        #expect(try use(in: .milliseconds(2), roundTrip: .microseconds(50)) == 600_000, "not within 2 ms")
        let shortly = Duration.milliseconds(2) - .nanoseconds(1)
        #expect(
            try use(in: shortly, roundTrip: .microseconds(50)) == 1_200_000,
            "frequent credit would wake the peer too often"
        )
    }

    @Test("on a far path a stream's window is 256 KiB once more than a request was consumed, if memory permits")
    func farPath() throws {
        func granted(
            _ count: Int,
            window: Int = 65_536,
            _ roundTrip: Duration?,
            limit: Int = .max,
            hasRoom: Bool = true
        ) throws -> UInt64? {
            var credit = ReceiveCredit(window: window, now: .start)
            try credit.receive(count)
            credit.consume(count)
            return credit.nextGrant(now: .at(.seconds(1)), roundTrip: roundTrip, limit: limit, hasRoom: hasRoom)
        }
        let far = Duration.milliseconds(5)
        #expect(try granted(4_097, far) == 4_097 + 262_144)
        #expect(try granted(4_096, far) == nil, "a request")
        #expect(try granted(4_097, far - .nanoseconds(1)) == nil)
        #expect(try granted(4_097, nil) == nil, "no round trip is known")
        #expect(try granted(4_097, far, limit: 65_536) == nil, "memory is short")
        #expect(try granted(4_097, far, limit: 200_000) == 204_097)
        #expect(try granted(4_097, far, hasRoom: false) == nil)
        #expect(try granted(4_097, window: 262_144, far) == nil, "the window is as wide already")
        var credit = ReceiveCredit(window: 65_536, now: .start)
        try credit.receive(65_536)
        credit.consume(5_000)
        #expect(credit.nextGrant(now: .start, roundTrip: .milliseconds(100), limit: .max, hasRoom: true) == 267_144)
        credit.consume(60_536)
        #expect(
            credit.nextGrant(now: .start, roundTrip: .milliseconds(100), limit: .max, hasRoom: true) == nil,
            "a step has 64 KiB"
        )
        try credit.receive(70_536)
        credit.consume(70_535)
        #expect(
            credit.nextGrant(now: .start, roundTrip: .milliseconds(100), limit: .max, hasRoom: true) == 136_071
                + 262_144
        )
        credit.consume(1)
        try credit.receive(65_536)
        credit.consume(65_536)
        #expect(
            credit.nextGrant(now: .at(.milliseconds(199)), roundTrip: .milliseconds(100), limit: .max, hasRoom: true)
                == 725_896
        )
        #expect(credit.window == 524_288, "half of it was used within two round trips")
    }

    @Test("a window whose half is below a quantum also doubles when it is used within 100 ms")
    func narrow() throws {
        var credit = ReceiveCredit(window: 65_536, now: .start)
        var now = Instant.start
        func use(in wait: Duration) throws -> UInt64 {
            try credit.receive(Int(credit.granted - credit.received))
            credit.consume(credit.buffered)
            now = now + wait
            _ = credit.nextGrant(now: now, roundTrip: .microseconds(50), limit: .max, hasRoom: true)
            return credit.window
        }
        let shortly = Duration.milliseconds(100) - .nanoseconds(1)
        #expect(try use(in: .milliseconds(100)) == 65_536)
        #expect(try use(in: shortly) == 131_072)
        #expect(try use(in: shortly) == 262_144)
        #expect(try use(in: shortly) == 524_288)
        #expect(try use(in: shortly) == 524_288, "half of the window holds a quantum")
    }

    @Test("M15 streams on a far path get 256 KiB only while the windows of all fit into half of the memory")
    func farPathMemory() throws {
        for (memory, expected) in [(1_048_576, 5_000 + 262_144), (1_048_575, nil)] as [(Int, UInt64?)] {
            var client = try clientWithStream(limits { $0.bufferedBytes = memory })
            #expect(client.kind(of: openFrame(4), now: .start) == nil)
            try client.answerPing(after: .milliseconds(5))
            #expect(client.kind(of: frame(.data, 2, bytes(5_000))) == nil)
            client.consumed(two, 5_000, now: .start)
            #expect(client.frames().filter { $0.header.type == .credit }.map(\.number).first == expected, "\(memory)")
        }
    }

    @Test("on a far path a window of 256 KiB doubles only if half of it was used within two round trips")
    func farGrowth() throws {
        for (wait, window) in [(199, 524_288), (200, 262_144)] as [(Int, UInt64)] {
            var credit = ReceiveCredit(window: 65_536, now: .start)
            func use(_ count: Int, _ now: Instant) throws {
                try credit.receive(count)
                credit.consume(count)
                _ = credit.nextGrant(now: now, roundTrip: .milliseconds(100), limit: 4_194_304, hasRoom: true)
            }
            try use(5_000, .start)
            try use(131_071, .at(.milliseconds(100)))
            #expect(credit.window == 262_144, "less than half was used")
            try use(65_536, .at(.milliseconds(wait)))
            #expect(credit.window == window, "after \(wait) ms")
        }
    }

    @Test("M15 after a shortage the window is 256 KiB again, without a grant while earlier credit exceeds it")
    func farPathAfterShortage() throws {
        var credit = ReceiveCredit(window: 1_048_576, now: .start)
        try credit.receive(1_048_576)
        credit.consume(100_000)
        #expect(credit.nextGrant(now: .start, roundTrip: .milliseconds(100), limit: 65_536, hasRoom: true) == nil)
        #expect(credit.window == 65_536)
        #expect(credit.nextGrant(now: .start, roundTrip: .milliseconds(100), limit: .max, hasRoom: true) == nil)
        #expect(credit.window == 262_144 && credit.granted == 1_048_576)
        credit.consume(751_967)
        #expect(
            credit.nextGrant(now: .start, roundTrip: .milliseconds(100), limit: .max, hasRoom: true) == nil,
            "less than a step"
        )
        credit.consume(1)
        #expect(credit.nextGrant(now: .start, roundTrip: .milliseconds(100), limit: .max, hasRoom: true) != nil)
    }

    @Test("M15 granted credit stays while a window shrinks")
    func shrinking() throws {
        var credit = ReceiveCredit(window: 400, now: .start)
        try credit.receive(300)
        credit.consume(300)
        #expect(credit.nextGrant(now: .start, roundTrip: nil, limit: 100, hasRoom: true) == nil)
        #expect(credit.granted == 400)
        try credit.receive(100)
        credit.consume(50)
        #expect(credit.nextGrant(now: .start, roundTrip: nil, limit: 100, hasRoom: true) == 450)
    }

    @Test("M15 the session's memory is used to its last byte; beyond it the stream that holds the most is reset")
    func budget() throws {
        var client = session(.client, limits { $0.bufferedBytes = 1_000 })
        #expect(client.kind(of: openFrame(2), openFrame(4)) == nil)
        #expect(client.kind(of: frame(.data, 2, bytes(400)), frame(.data, 4, bytes(600))) == nil)
        _ = client.actions()
        #expect(client.kind(of: frame(.data, 2, bytes(1))) == nil)
        #expect(client.actions() == [.abort(StreamID(4), .busy), .deliver(two, bytes(1))])
        #expect(client.sent() == ["reset 4"])
        #expect(client.holdings.bufferedBytes == 401)
        #expect(client.kind(of: openFrame(6), frame(.data, 6, bytes(599))) == nil)
        #expect(client.actions().count == 2, "there is room again")
        #expect(client.kind(of: frame(.data, 6, bytes(1))) == nil)
        #expect(client.actions() == [.abort(StreamID(6), .busy)], "also the stream that receives")
        #expect(client.holdings.bufferedBytes == 401)
    }

    @Test("M15 a stream that has ended counts until its socket has accepted everything")
    func lingering() throws {
        var client = try clientWithStream(
            limits {
                $0.bufferedBytes = 1_000; $0.streams = 1
            }
        )
        client.finish(two)
        _ = client.frames()
        #expect(client.kind(of: frame(.data, 2, bytes(900)), frame(.end, 2)) == nil)
        #expect(client.kind(of: openFrame(4)) == nil, "the peer knows of one stream only")
        #expect(client.holdings.streams == 2)
        #expect(client.kind(of: frame(.data, 4, bytes(100))) == nil)
        #expect(client.actions().last == .deliver(StreamID(4), bytes(100)))
        client.consumed(two, 899, now: .start)
        #expect(client.actions().isEmpty)
        client.consumed(two, 1, now: .start)
        #expect(client.actions() == [.closed(two)])
        #expect(client.holdings.bufferedBytes == 100 && client.holdings.lingering == 0)
    }

    @Test("M15 shedding a stream that has ended on the wire sends nothing")
    func sheddingAnEndedStream() throws {
        var client = try clientWithStream(limits { $0.bufferedBytes = 1_000 })
        client.finish(two)
        _ = client.frames()
        #expect(client.kind(of: frame(.data, 2, bytes(900)), frame(.end, 2), openFrame(4)) == nil)
        _ = client.actions()
        #expect(client.kind(of: frame(.data, 4, bytes(101))) == nil)
        #expect(client.actions() == [.abort(two, .busy), .deliver(StreamID(4), bytes(101))])
        #expect(client.frames().isEmpty)
        #expect(client.holdings.bufferedBytes == 101 && client.holdings.lingering == 0)
    }

    @Test("queued bytes have a limit; the stream that delivers more is reset at both ends")
    func queuedBudget() throws {
        var server = session(.server, limits { $0.queuedBytes = 1_000 })
        let ids = [server.open(visit, now: .start), server.open(visit, now: .start)].compactMap { $0 }
        #expect(server.accepts(ids[0], bytes(400)) == true)
        #expect(server.accepts(ids[1], bytes(600)) == false, "past half the bound one read of each socket is enough")
        #expect(server.accepts(ids[0], bytes(1)) == false)
        #expect(server.actions() == [.abort(ids[0], .busy)])
        #expect(server.holdings.queuedBytes == 600)
        #expect(server.sent() == ["open 2", "open 4", "reset 2", "data 4"])
        #expect(server.holdings.queuedBytes == 0)
    }

    @Test("M14 a socket pauses while many bytes wait, and resumes once they have left")
    func backPressure() throws {
        var server = try serverWithStream(limits { $0.queuedPerStream = 100 }, window: 150)
        #expect(server.accepts(two, bytes(99)) == true)
        #expect(server.accepts(two, bytes(1)) == false)
        #expect(server.allActions() == [.blocked(two)])
        _ = server.frames()
        #expect(server.actions() == [.sendable(two)])
        #expect(server.accepts(two, bytes(50)) == true)
        #expect(server.accepts(two, bytes(1)) == false, "no credit is left for it")
        _ = server.frames()
        #expect(server.holdings.queuedBytes == 1)
        #expect(server.kind(of: frame(.credit, 2, number: 151)) == nil)
        _ = server.frames()
        #expect(server.actions().last == .sendable(two))
    }

    @Test("bytes after the end are ignored and not counted")
    func writeAfterEnd() throws {
        var server = try serverWithStream(limits { $0.queuedBytes = 100 })
        server.finish(two)
        #expect(server.accepts(two, bytes(1_000)) == false)
        #expect(server.actions().isEmpty)
        #expect(server.sent() == ["end 2"])
        #expect(server.holdings.queuedBytes == 0)
        #expect(server.accepts(StreamID(8), bytes(1)) == false)
    }
}
