import NIOCore
import Testing

@testable import Mux

/// How lanes are left: what they hand over, and in which order (protocol page, section 6).
@Suite struct LaneLeavingTests {
    /// A client with streams 2 and 4, of which the server knows, and with lanes 0 to `last`.
    private func client(lanes last: UInt32) throws -> Session {
        var client = try clientWithStream()
        #expect(client.kind(of: openFrame(4), on: 0) == nil)
        client.accept(StreamID(4), now: .start)
        _ = client.frames()
        #expect(client.kind(of: frame(.ack, number: 2), on: 0) == nil)
        try client.open(lanes: 1...last)
        return client
    }

    @Test("a lane that is left hands over what the server lacks: control frames first, and each kind in its old order")
    func handOver() throws {
        var client = try client(lanes: 1)
        var sent: [String] = []
        for (tunnel, text) in [(0, "a"), (1, "b"), (2, "c")] as [(UInt16, String)] {
            client.bind(BindRequest(tunnel: tunnel, address: "", port: 0))
            sent += client.sent(on: 0)
            client.write(tunnel == 1 ? StreamID(4) : two, buffer(text))
            sent += client.sent(on: 0)
        }
        #expect(sent == ["bind", "data 2", "bind", "data 4", "bind", "data 2"])
        client.retire(.first, now: .start)
        #expect(client.actions() == [.retired(.first)] && client.firstLane == LaneID(1))
        #expect(client.sent(on: 1) == ["retire"])
        // The server has two frames from before, BIND and DATA.
        #expect(client.kind(of: retired(0, received: 4), on: 1) == nil)
        let moved = client.frames(on: 1)
        #expect(moved.map(\.short) == ["bind", "bind", "data 4", "data 2"])
        #expect(try moved.prefix(2).map { try BindRequest($0.payload).tunnel } == [1, 2])
        #expect(
            moved.suffix(2).map(\.arrived.offset) == [0, 1]
                && moved.suffix(2).map { String(buffer: $0.payload) } == ["b", "c"]
        )
        #expect(client.kind(of: frame(.ack, number: 4), on: 1) == nil)
        #expect(client.holdings.replayBytes == 0)
    }

    @Test("after its first lane is lost, a client's control frames wait for RETIRED, and bytes of known streams do not")
    func controlWaits() throws {
        var client = try client(lanes: 1)
        client.bind(BindRequest(tunnel: 0, address: "", port: 0))
        #expect(client.sent(on: 0) == ["bind"])
        client.detach(.first, now: .start)
        client.bind(BindRequest(tunnel: 1, address: "", port: 0))
        client.write(two, buffer("x"))
        #expect(client.sent(on: 1) == ["retire", "data 2"])
        #expect(client.kind(of: retired(0, received: 2), on: 1) == nil)
        let control = client.frames(on: 1)
        #expect(try control.map { try BindRequest($0.payload).tunnel } == [0, 1])
    }

    @Test("control frames do not wait if none was on the lost lane, or if it was not the first one")
    func controlDoesNotWait() throws {
        for lane in [LaneID(0), LaneID(1)] {
            var client = try client(lanes: 1)
            client.detach(lane, now: .start)
            client.bind(BindRequest(tunnel: 1, address: "", port: 0))
            #expect(client.sent(on: 1 - lane.rawValue) == ["retire", "bind"], "lane \(lane)")
        }
    }

    @Test("on another lane than the last control frames, CREDIT does not wait for their acknowledgement, as others do")
    func creditDoesNotWait() throws {
        var client = try clientWithStream(limits { $0.initialWindow = 100 })
        #expect(client.kind(of: frame(.ack, number: 1)) == nil, "the server has ACCEPT")
        client.bind(BindRequest(tunnel: 0, address: "", port: 0))
        #expect(client.sent() == ["bind"])
        #expect(client.requestLane() == LaneID(1))
        // The new lane becomes the quick one, because bulk and an interactive stream share the first.
        #expect(client.kind(of: openFrame(4), frame(.data, 4, bytes(10))) == nil)
        client.lanes[0].bulkAt = .start
        #expect(try client.attach(LaneID(1), epoch: 1, peerReceived: 0, now: .start))
        #expect(client.quickIndex == 1)
        client.accept(StreamID(4), now: .start)
        client.consumed(StreamID(4), 10, now: .start)
        #expect(client.kind(of: data(2, at: 0, bytes(50)), on: 0) == nil)
        client.consumed(two, 50, now: .start)
        #expect(client.sent(on: 0).isEmpty)
        #expect(client.sent(on: 1) == ["credit 2"])
        #expect(client.kind(of: data(4, at: 10, bytes(50)), on: 0) == nil)
        client.consumed(StreamID(4), 50, now: .start)
        #expect(client.sent(on: 1).isEmpty, "the server may not know the stream, so ACCEPT comes first")
        #expect(client.kind(of: frame(.ack, number: 2), on: 0) == nil)
        #expect(client.sent(on: 1) == ["accept 4", "credit 4"])
    }

    @Test("CREDIT of a lane that is left goes over another one at once, unless its stream is gone")
    func leftCredit() throws {
        var server = try serverWithStream(limits { $0.initialWindow = 100 })
        #expect(server.kind(of: frame(.ack, number: 1)) == nil, "the client has OPEN")
        #expect(server.open(visit, now: .start) == StreamID(4))
        #expect(server.sent() == ["open 4"])
        #expect(server.kind(of: frame(.accept, 4), frame(.ack, number: 2)) == nil)
        try server.open(lanes: 1...2)
        server.quickLane = LaneID(1)
        for id in [2, 4] as [UInt32] {
            #expect(server.kind(of: data(id, at: 0, bytes(50)), on: 0) == nil)
            server.consumed(StreamID(id), 50, now: .start)
        }
        #expect(server.sent(on: 1) == ["credit 2", "credit 4"])
        server.reset(StreamID(4), .connectionReset)
        // The answer of a control frame on another lane is outstanding.
        server.control = (LaneID(2), 1)
        server.detach(LaneID(1), now: .start)
        #expect(server.sent(on: 0) == ["lost"])
        #expect(server.kind(of: retire(1, received: 0), on: 0) == nil)
        #expect(server.sent(on: 0) == ["retired", "credit 2"])
        server.control = (.first, 0)
        #expect(server.sent(on: 0) == ["reset 4"], "its stream is gone")
    }

    @Test("CREDIT of a lane that is left stays behind an ACCEPT that the peer may not have")
    func leftCreditOfUnknownStream() throws {
        var client = try client(lanes: 1)
        #expect(client.kind(of: openFrame(6), frame(.data, 6, bytes(40_000)), on: 0) == nil)
        client.accept(StreamID(6), now: .start)
        client.consumed(StreamID(6), 40_000, now: .start)
        #expect(client.sent(on: 0) == ["accept 6", "credit 6"])
        client.bind(BindRequest(tunnel: 0, address: "", port: 0))
        client.detach(.first, now: .start)
        #expect(client.sent(on: 1) == ["retire"])
        #expect(client.kind(of: retired(0, received: 2), on: 1) == nil)
        #expect(client.sent(on: 1) == ["accept 6", "credit 6", "bind"])
    }

    @Test("CREDIT that waits counts among the control frames, and moved bytes go behind it")
    func waitingCredit() throws {
        var client = try client(lanes: 1)
        client.write(two, bytes(10))
        #expect(client.sent(on: 0) == ["data 2"])
        let before = client.waitingControl
        #expect(client.kind(of: data(4, at: 0, bytes(40_000)), on: 1) == nil)
        client.consumed(StreamID(4), 40_000, now: .start)
        #expect(client.waitingControl == before + 1 && !client.scheduler.isEmpty)
        client.retire(.first, now: .start)
        #expect(client.kind(of: retired(0, received: 2), on: 1) == nil)
        #expect(client.sent(on: 1) == ["retire", "credit 4", "data 2"])
    }

    @Test("frames of a stream that the peer may not know follow its OPEN or ACCEPT")
    func unknownStream() throws {
        var client = try clientWithStream()
        try client.open(lanes: 1...1)
        client.write(two, buffer("a"))
        #expect(client.sent(on: 0) == ["data 2"])
        client.detach(.first, now: .start)
        client.write(two, buffer("b"))
        #expect(client.sent(on: 1) == ["retire"], "the server may have no ACCEPT of stream 2")
        #expect(client.kind(of: retired(0, received: 0), on: 1) == nil)
        #expect(client.sent(on: 1) == ["accept 2", "data 2", "data 2"])

        var other = try clientWithStream()
        try other.open(lanes: 1...1)
        other.detach(.first, now: .start)
        other.write(two, buffer("b"))
        #expect(other.sent(on: 1) == ["retire"])
        #expect(other.kind(of: retired(0, received: 1), on: 1) == nil)
        #expect(other.sent(on: 1) == ["data 2"], "ACCEPT has arrived")
    }

    @Test("a server hands over what the client lacks at once, and answers with its own count")
    func serverHandsOver() throws {
        var server = try serverWithStream()
        try server.open(lanes: 1...1)
        server.write(two, buffer("a"))
        #expect(server.sent(on: 0) == ["data 2"])
        #expect(server.kind(of: retire(0, received: 1), on: 1) == nil)
        #expect(server.actions() == [.retired(.first)])
        let frames = server.frames(on: 1)
        #expect(frames.map(\.short) == ["retired", "data 2"])
        #expect(try Retirement(frames[0].payload, of: .retired) == Retirement(lane: .first, received: 1))
        #expect(server.kind(of: frame(.data, 2, bytes(1)), on: 0) == nil)
        #expect(server.actions().isEmpty, "nothing more is read from a lane that is left")
    }

    @Test("RETIRE is repeated over another lane if its carrier is lost, and not after the answer")
    func retireAgain() throws {
        var client = try client(lanes: 2)
        client.retire(LaneID(1), now: .start)
        #expect(client.sent(on: 0) == ["retire"])
        client.detach(.first, now: .start)
        let again = client.frames(on: 2)
        #expect(try again.map { try Retirement($0.payload, of: .retire).lane } == [LaneID(1), .first])
        #expect(client.kind(of: retired(1, received: 0), on: 2) == nil)
        #expect(client.kind(of: retired(1, received: 0), on: 2) == nil, "a second answer says nothing new")
        client.detach(LaneID(2), now: .start)
        #expect(!client.isAttached)
        #expect(try client.attach(LaneID(2), epoch: 9, peerReceived: 0, now: .start))
        let last = client.frames(on: 2)
        #expect(try last.map { try Retirement($0.payload, of: .retire).lane } == [.first])
    }

    @Test("without any carrier a client resumes its first lane, and leaves the others over it")
    func allLost() throws {
        var client = try client(lanes: 2)
        for lane in [LaneID(2), .first] { client.detach(lane, now: .start) }
        // Each loss leaves a lane while another one has a carrier.
        #expect(client.laneIDs == [LaneID(1)] && client.isAttached)
        client.detach(LaneID(1), now: .start)
        #expect(client.firstLane == LaneID(1) && !client.isAttached)
        #expect(try client.attach(LaneID(1), epoch: 7, peerReceived: 0, now: .start))
        #expect(client.sent(on: 1) == ["retire", "retire"])
    }

    @Test("a client does not leave its only lane with a carrier")
    func onlyLane() throws {
        var client = try client(lanes: 1)
        client.detach(LaneID(1), now: .start)
        _ = client.actions()
        client.retire(.first, now: .start)
        #expect(client.actions().isEmpty && client.laneIDs == [.first])
    }

    @Test("M38 a server reports the loss of a carrier over another lane, and a client ignores it for a newer carrier")
    func lostCarrier() throws {
        var server = session(.server)
        try server.open(lanes: 1...1)
        server.detach(LaneID(1), now: .start)
        let sent = server.frames(on: 0)
        #expect(try sent.map { try LaneLoss($0.payload) } == [LaneLoss(lane: LaneID(1), epoch: 1)])

        var client = session(.client)
        try client.open(lanes: 1...1)
        #expect(try client.attach(LaneID(1), epoch: 5, peerReceived: 0, now: .start))
        for epoch in [0, 1, 4, 6] as [UInt64] { #expect(client.kind(of: lost(1, epoch: epoch), on: 0) == nil) }
        #expect(client.kind(of: lost(9, epoch: 5), on: 0) == nil, "no such lane")
        #expect(client.actions().isEmpty)
        #expect(client.kind(of: lost(1, epoch: 5), on: 0) == nil)
        #expect(client.actions().map { if case .silent(LaneID(1), _) = $0 { true } else { false } } == [true])
    }
}
