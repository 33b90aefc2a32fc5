import NIOCore
import Testing

@testable import Mux

/// A session that loses its carrier and gets another, step by step (protocol page, section 6). ``ModelTests`` do the
/// same at random.
@Suite struct CarrierChangeTests {
    private static let grace = Duration.seconds(120)

    @Test("without a carrier no frame is sent or received, no stream is opened, and sockets are still read")
    func pause() throws {
        var server = try serverWithStream()
        server.detach(now: .start)
        #expect(!server.isAttached && !server.hasRoom)
        #expect(server.open(visit, now: .start) == nil)
        #expect(server.accepts(two, bytes(10)) == true)
        server.finish(two)
        #expect(server.frames(.at(.seconds(60))).isEmpty)
        #expect(server.kind(of: frame(.data, 2, bytes(1)), frame(.ping, number: 1)) == nil, "the lost carrier's")
        #expect(server.received() == 1 && server.actions().isEmpty)
        try server.attach(peerReceived: 1, now: .at(.seconds(60)))
        try server.tick(now: .at(.seconds(60)))
        #expect(server.sent(.at(.seconds(60))) == ["ping", "data 2", "end 2"])
    }

    @Test("a new carrier sends the frames that the peer lacks, in the old order, before new ones", arguments: 0...4)
    func repetition(received: UInt64) throws {
        var server = session(.server)
        let ids = try (0..<3).map { _ in
            let id = server.open(visit, now: .start)
            return try #require(id)
        }
        server.write(ids[0], bytes(100))
        let first = server.frames().filter { $0.header.type.isCounted }
        #expect(first.count == 4)
        server.detach(now: .start)
        server.write(ids[1], bytes(50))
        try server.attach(peerReceived: received, now: .start)
        let second = server.frames()
        #expect(Array(second.dropLast()) == Array(first[Int(received)...]))
        #expect(second.last?.short == "data 4")
        #expect(server.holdings.queuedBytes == 0, "what is sent again is not taken from the queue again")
    }

    @Test("a resume with a count beyond the sent frames, or below the acknowledged ones, ends the session")
    func impossibleNumbers() throws {
        for number: UInt64 in [0, 3, .max] {
            var server = try serverWithStream()
            server.write(two, bytes(1))
            _ = server.frames()
            #expect(server.kind(of: frame(.ack, number: 1)) == nil)
            server.detach(now: .start)
            let error = kind { () throws(MuxError) in try server.attach(peerReceived: number, now: .start) }
            #expect(error == .acknowledgement, "\(number)")
        }
    }

    @Test("the grace period lasts to its last nanosecond, and starts anew with each loss of a carrier")
    func grace() throws {
        var client = try clientWithStream()
        client.detach(now: .start)
        #expect(client.deadline == .at(Self.grace))
        let before = Instant.at(Self.grace - .nanoseconds(1))
        try client.tick(now: before)
        try client.attach(peerReceived: 1, now: before)
        client.detach(now: before)
        try client.tick(now: .at(Self.grace))
        let error = kind { () throws(MuxError) in try client.tick(now: before + Self.grace) }
        #expect(error == .abandoned)
    }

    @Test("an outstanding PING is discarded with its carrier, and the new carrier gets one at once")
    func liveness() throws {
        var client = try clientWithStream()
        try client.tick(now: .start)
        #expect(client.sent() == ["ping"])
        client.detach(now: .at(.seconds(1)))
        try client.tick(now: .at(.seconds(60)))
        try client.attach(peerReceived: 1, now: .at(.seconds(60)))
        try client.tick(now: .at(.seconds(60)))
        #expect(client.sent(.at(.seconds(60))) == ["ping"])
        try client.tick(now: .at(.milliseconds(69_999)))
        #expect(client.silence(.at(.seconds(70))) == true)
    }

    @Test("M23 PINGs are counted for each carrier, so a path that cuts often is not a flood")
    func pings() throws {
        var client = try clientWithStream()
        for count in 0..<100 {
            #expect(client.kind(of: frame(.ping, number: UInt64(count))) == nil)
            client.detach(now: .start)
            try client.attach(peerReceived: 1, now: .start)
        }
        for count in 0..<20 { #expect(client.kind(of: frame(.ping, number: UInt64(count))) == nil) }
        #expect(client.kind(of: frame(.ping, number: 20)) == .flood)
    }

    @Test("M20 the time to accept a stream stands still while there is no carrier")
    func openTimeout() throws {
        var server = session(.server)
        _ = server.open(visit, now: .start)
        _ = server.frames()
        server.detach(now: .at(.seconds(14)))
        try server.attach(peerReceived: 0, now: .at(.seconds(100)))
        _ = server.frames(.at(.seconds(100)))
        try server.answerPings(at: .at(.seconds(100)))
        try server.tick(now: .at(.milliseconds(114_999)))
        #expect(server.holdings.streams == 1)
        try server.tick(now: .at(.seconds(115)))
        #expect(server.actions().last == .abort(two, .timeout))
    }

    @Test("repeated frames without an acknowledgement within 2 s cause a PING")
    func pingAfterRepetition() throws {
        var server = try serverWithStream()
        server.write(two, bytes(10))
        _ = server.frames()
        server.detach(now: .start)
        try server.attach(peerReceived: 1, now: .start)
        try server.tick(now: .start)
        let sent = server.frames()
        #expect(sent.map(\.short) == ["ping", "data 2"])
        #expect(server.kind(of: frame(.pong, number: try #require(sent.first).number)) == nil)
        #expect(server.deadline == .at(.seconds(2)))
        try server.tick(now: .at(.seconds(2)))
        #expect(server.sent(.at(.seconds(2))) == ["ping"])
    }

    @Test("a due ACK is discarded with its carrier, since the next handshake reports the count")
    func acknowledgement() throws {
        var client = try clientWithStream()
        #expect(client.kind(of: frame(.data, 2, bytes(1))) == nil)
        client.detach(now: .start)
        #expect(client.received() == 2)
        try client.attach(peerReceived: 1, now: .at(.seconds(1)))
        #expect(client.frames(.at(.seconds(2))).isEmpty)
    }

    @Test("a session that has ended is neither detached nor attached again")
    func ended() throws {
        var client = try clientWithStream()
        _ = client.end(Refusal(.goingAway, ""))
        client.detach(now: .start)
        try client.attach(peerReceived: 99, now: .start)
        #expect(client.isEnded && client.frames().isEmpty)
    }

    @Test("M29 a session that ends without a carrier resets each stream once and frees everything")
    func endWithoutCarrier() throws {
        var server = try serverWithStream()
        server.write(two, bytes(1_000))
        server.detach(now: .start)
        server.write(two, bytes(1_000))
        _ = server.end(Refusal(.goingAway, ""))
        #expect(server.actions() == [.reset(two, .goingAway)])
        #expect(server.holdings == Session.Holdings() && server.heldBytes == 0)
    }

    @Test("RENEW reaches the client; ten in ten seconds are accepted, the next is a flood")
    func renewals() throws {
        var server = session(.server)
        server.askForRenewal(within: 30)
        let sent = server.frames()
        let renew = try #require(sent.first { $0.header.type == .renew })
        var client = session(.client)
        for _ in 0..<10 { #expect(client.kind(of: renew.arrived) == nil) }
        #expect(client.actions() == Array(repeating: .renew(within: 30), count: 10))
        #expect(client.kind(of: renew.arrived) == .flood)
        #expect(server.kind(of: renew.arrived) == .unexpectedFrame, "only a server sends RENEW")
        try server.attach(LaneID(1), epoch: 1, peerReceived: 0, now: .start)
        server.askForRenewal(within: 30)
        let asked = [LaneID.first, LaneID(1)].map { lane in
            var count = 0
            while let frame = server.nextFrame(on: lane, now: .start) { count += frame.header.type == .renew ? 1 : 0 }
            return count
        }
        #expect(asked.sorted() == [0, 1], "one RENEW is for all lanes")
        client.askForRenewal(within: 1)
        let fromClient = client.frames()
        #expect(fromClient.allSatisfy { $0.header.type != .renew })
    }

    @Test("a changed ping interval shortens the current wait, never lengthens it, and applies to later waits")
    func pingInterval() throws {
        var client = session(.client, limits { $0.pingJitter = 0 })
        try client.tick(now: .start)
        try client.answerPings(at: .start)
        #expect(client.deadline == .at(.seconds(20)))
        client.setPingInterval(.seconds(4), now: .at(.seconds(1)))
        #expect(client.deadline == .at(.seconds(5)))
        client.setPingInterval(.seconds(40), now: .at(.seconds(1)))
        #expect(client.deadline == .at(.seconds(5)))
        try client.answerPings(at: .at(.seconds(5)))
        #expect(client.deadline == .at(.seconds(45)) && client.pingInterval == .seconds(40))
    }

    @Test(
        "a quiet session sends no PING, also if one was due earlier, until the time is over or the interval is set again"
    )
    func quiet() throws {
        var client = session(.client, limits { $0.pingJitter = 0 })
        try client.tick(now: .start)
        try client.answerPings(at: .start)
        client.beQuiet(for: .seconds(600), now: .at(.seconds(1)))
        #expect(client.deadline == .at(.seconds(601)) && client.pingInterval == .seconds(600))
        try client.tick(now: .at(.seconds(600)))
        #expect(client.frames().allSatisfy { $0.header.type != .ping })
        client.setPingInterval(.seconds(20), now: .at(.seconds(600)))
        #expect(client.deadline == .at(.seconds(601)))
        try client.answerPings(at: .at(.seconds(601)))
        #expect(client.deadline == .at(.seconds(621)))
    }
}

extension Session {
    /// Answers the outstanding PING.
    fileprivate mutating func answerPings(at now: Instant) throws {
        try tick(now: now)
        for frame in frames(now) where frame.header.type == .ping {
            try receive(MuxTests.frame(.pong, number: frame.number), now: now)
        }
        _ = actions()
    }
}
