import NIOCore
import Testing

@testable import Mux

/// Bytes sent directly before a reset arrive before it, within limits (protocol page, section 3).
@Suite("A reset follows the bytes before it")
struct ResetOrderTests {
    @Test("RESET travels behind the stream's own DATA, at either end", arguments: [Role.server, .client])
    func behindData(role: Role) throws {
        var end = try role == .server ? serverWithStream() : clientWithStream()
        end.write(two, bytes(500))
        end.reset(two, .connectionReset)
        #expect(end.sent() == ["data 2", "reset 2"])
        #expect(end.holdings.streams == 0 && end.holdings.queuedBytes == 0)
        #expect(end.actions().isEmpty, "the socket is gone already")
    }

    @Test("a RESET without queued bytes before it leaves at once, as a control frame")
    func nothingQueued() throws {
        var server = try serverWithStream()
        server.reset(two, .refused)
        #expect(server.holdings.streams == 0)
        #expect(server.sent() == ["reset 2"])
    }

    @Test("a reset after the end of the socket's input replaces the END that waits")
    func afterFinish() throws {
        var server = try serverWithStream()
        server.write(two, bytes(500))
        server.finish(two)
        server.reset(two, .connectionReset)
        server.finish(two)
        #expect(server.sent() == ["data 2", "reset 2"])
    }

    @Test("bytes without credit wait for credit, and the reset waits behind them")
    func waitsForCredit() throws {
        var server = try serverWithStream(window: 400)
        server.write(two, bytes(500))
        server.reset(two, .connectionReset)
        #expect(server.sent() == ["data 2"])
        #expect(server.streamCount == 1)
        #expect(server.kind(of: frame(.credit, 2, number: 1_000)) == nil)
        #expect(server.sent() == ["data 2", "reset 2"])
        #expect(server.holdings.streams == 0)
    }

    @Test("after 5 s without credit the reset overtakes, and the rest is discarded")
    func timeout() throws {
        var server = try serverWithStream(window: 400)
        server.write(two, bytes(500))
        server.reset(two, .timeout)
        _ = server.frames()
        try server.tick(now: .at(.milliseconds(4_999)))
        #expect(server.streamCount == 1)
        #expect(server.deadline <= .at(.seconds(5)))
        try server.tick(now: .at(.seconds(5)))
        #expect(server.streamCount == 0)
        let reset = try #require(server.frames(.at(.seconds(5))).first { $0.header.type == .reset })
        #expect(try ResetCode.read(reset.arrived.payload) == (.timeout, 400))
        #expect(server.actions().isEmpty)
        #expect(server.holdings.queuedBytes == 0)
    }

    @Test(
        "a window without credit is kept; beyond it, only bytes with credit leave before the reset",
        arguments: [0, 1]
    )
    func window(more: Int) throws {
        var server = try serverWithStream(window: 400)
        server.write(two, bytes(500))
        server.write(two, bytes(300 + more))
        server.reset(two, .connectionReset)
        let frames = server.frames()
        #expect(frames.filter { $0.header.type == .data }.map(\.arrived.payload.readableBytes) == [400])
        #expect(frames.contains { $0.header.type == .reset } == (more > 0))
        #expect(server.streamCount == 1 - more)
        #expect(server.holdings.queuedBytes == (more > 0 ? 0 : 400))
    }

    @Test("if more than a window is queued and no credit is left, the reset overtakes at once")
    func noCredit() throws {
        var server = try serverWithStream(window: 400)
        server.write(two, bytes(400))
        _ = server.frames()
        server.write(two, bytes(401))
        server.reset(two, .connectionReset)
        #expect(server.sent() == ["reset 2"])
        #expect(server.holdings.streams == 0 && server.holdings.queuedBytes == 0 && server.holdings.queuedStorage == 0)
    }

    @Test("time without a carrier does not count, and bytes and reset leave on the next one in order")
    func acrossResume() throws {
        var server = try serverWithStream()
        server.detach(now: .start)
        server.write(two, bytes(500))
        server.reset(two, .connectionReset)
        try server.tick(now: .at(.seconds(60)))
        try server.attach(peerReceived: 1, now: .at(.seconds(60)))
        try server.tick(now: .at(.seconds(60)))
        let sent = server.sent(.at(.seconds(60))).filter { $0.hasSuffix(" 2") }
        #expect(sent == ["data 2", "reset 2"])
    }

    @Test("bytes that the peer sent before it received the reset are discarded and take no memory")
    func lateData() throws {
        var server = try serverWithStream(limits { $0.initialWindow = 1_000 }, window: 400)
        #expect(server.kind(of: frame(.data, 2, bytes(300))) == nil)
        _ = server.actions()
        server.write(two, bytes(500))
        server.reset(two, .connectionReset)
        #expect(server.holdings.bufferedBytes == 0)
        #expect(server.kind(of: frame(.data, 2, bytes(700)), frame(.end, 2)) == nil)
        #expect(server.actions().isEmpty && server.holdings.bufferedBytes == 0)
        var greedy = try serverWithStream(limits { $0.initialWindow = 1_000 }, window: 400)
        greedy.write(two, bytes(500))
        greedy.reset(two, .connectionReset)
        #expect(greedy.kind(of: frame(.data, 2, bytes(1_001))) == .creditOverrun)
    }

    @Test("a stream that both ends reset is removed without an action")
    func bothReset() throws {
        var server = try serverWithStream(window: 400)
        server.write(two, bytes(500))
        server.reset(two, .connectionReset)
        _ = server.frames()
        #expect(server.kind(of: resetFrame(2)) == nil)
        #expect(server.actions().isEmpty && server.sent().isEmpty)
        #expect(server.holdings.streams == 0 && server.holdings.queuedBytes == 0)
    }

    @Test("bytes before the peer's reset count against the budget until the socket has accepted them")
    func delivered() throws {
        var server = try serverWithStream()
        server.write(two, bytes(10))
        #expect(server.kind(of: frame(.data, 2, bytes(500)), resetFrame(2, .refused)) == nil)
        #expect(server.actions() == [.deliver(two, bytes(500)), .reset(two, .refused)])
        #expect(server.holds(two) && server.holdings.bufferedBytes == 500 && server.holdings.queuedBytes == 0)
        server.consumed(two, 200, now: .start)
        #expect(server.actions().isEmpty)
        server.consumed(two, 300, now: .start)
        #expect(server.actions() == [.closed(two)])
        #expect(!server.holds(two) && server.holdings.bufferedBytes == 0)
        #expect(server.sent().allSatisfy { $0 == "ack" }, "a reset needs no answer, and its queue is gone")
    }

    @Test("a socket that does not accept the bytes in time is dropped without a frame")
    func dropped() throws {
        var server = try serverWithStream()
        #expect(server.kind(of: frame(.data, 2, bytes(500)), resetFrame(2)) == nil)
        server.reset(two, .connectionReset)
        #expect(server.holdings.streams == 0 && server.holdings.bufferedBytes == 0)
        #expect(server.sent().allSatisfy { $0 == "ack" })
    }

    @Test("the undelivered bytes of a reset stream are dropped at once if memory is short")
    func shed() throws {
        var server = try serverWithStream()
        #expect(server.kind(of: frame(.data, 2, bytes(20_000)), resetFrame(2)) == nil)
        _ = server.actions()
        server.shed(1)
        #expect(server.actions() == [.abort(two, .busy)])
        #expect(server.holdings.bufferedBytes == 0)
        #expect(server.sent().allSatisfy { $0 == "ack" })
    }

    @Test("a connect in progress still gets the bytes before a reset, for a limited number of connects")
    func pending() throws {
        var client = session(.client, limits { $0.opening = 3 })
        for number in stride(from: UInt32(2), through: 10, by: 2) {
            let id = StreamID(number)
            #expect(client.kind(of: openFrame(number), frame(.data, number, bytes(9)), resetFrame(number)) == nil)
            #expect(client.actions() == [.open(id, visit), .deliver(id, bytes(9)), .reset(id, .connectionReset)])
            #expect(client.holds(id) == (number <= 6), "the other connects are cancelled")
        }
        #expect(client.holdings.opening == 0 && client.holdings.lingering == 3)
        client.accept(two, now: .start)
        #expect(client.sent().allSatisfy { $0 == "ack" }, "a reset stream sends no ACCEPT")
        client.consumed(two, 9, now: .start)
        #expect(client.actions() == [.closed(two)])
    }
}
