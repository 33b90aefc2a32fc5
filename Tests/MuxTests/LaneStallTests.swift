import NIOCore
import Testing

@testable import Mux

/// Lanes that deliver nothing (protocol page, section 7).
@Suite struct LaneStallTests {
    /// A server's session with lanes 0 and 1 whose first PINGs are answered within a millisecond, and with bulk in flight
    /// over lane 1 since the start.
    private func server() throws -> Session {
        var server = try serverWithStream(limits { $0.pingJitter = 0 })
        #expect(try server.attach(LaneID(1), epoch: 1, peerReceived: 0, now: .start))
        try server.tick(now: .start)
        for lane in [UInt32(0), 1] { try answer(&server, lane, at: .at(.milliseconds(1))) }
        server.write(two, bytes(20_000))
        #expect(!server.frames(on: 1, .at(.milliseconds(1))).isEmpty)
        #expect(server.frames(on: 0, .at(.milliseconds(1))).isEmpty)
        _ = server.actions()
        return server
    }

    /// Answers the PINGs of a lane.
    private func answer(_ session: inout Session, _ lane: UInt32, at now: Instant) throws {
        while let frame = session.nextFrame(on: LaneID(lane), now: now) {
            guard frame.header.type == .ping else { continue }
            try session.receive(pong(frame.number), on: LaneID(lane), now: now)
        }
    }

    private func pong(_ number: UInt64) -> InboundFrame { frame(.pong, number: number) }

    /// The lanes that a tick reports as silent.
    private func silent(_ session: inout Session, at milliseconds: Int) throws -> [LaneID] {
        try session.tick(now: .at(.milliseconds(milliseconds)))
        return session.actions().compactMap { if case .silent(let lane, _) = $0 { lane } else { nil } }
    }

    @Test("M38 a lane that acknowledges nothing for a second is reported if another one has delivered meanwhile")
    func stalled() throws {
        var server = try server()
        // Something of lane 0 is acknowledged after 0.9 s.
        #expect(server.kind(of: bindFrame(0), on: 0) == nil)
        server.bound(Binding(tunnel: 0, address: "0.0.0.0", port: 9))
        #expect(server.sent(on: 0, .at(.milliseconds(800))) == ["bound"])
        #expect(server.kind(of: frame(.ack, number: 2), on: 0, now: .at(.milliseconds(900))) == nil)
        #expect(try silent(&server, at: 950).isEmpty, "the second is not over")
        #expect(try silent(&server, at: 1_002) == [LaneID(1)])
        #expect(try silent(&server, at: 1_500).isEmpty, "it is reported once")
    }

    @Test("M38 a lane is not reported while no other one has shown a sign of life; the others are pinged")
    func allStalled() throws {
        var server = try server()
        for time in stride(from: 1_002, through: 3_000, by: 100) { #expect(try silent(&server, at: time).isEmpty) }
        let asked = server.nextFrame(on: .first, now: .at(.seconds(3)))
        let ping = try #require(asked)
        #expect(ping.header.type == .ping)
        #expect(server.kind(of: frame(.pong, number: ping.number), on: 0, now: .at(.milliseconds(3_050))) == nil)
        #expect(try silent(&server, at: 3_300) == [LaneID(1)], "lane 0 has answered, and lane 1 has not")
    }

    @Test("a lane that acknowledges a part within each second is not reported")
    func slow() throws {
        var server = try server()
        let first = try #require(server.laneFigures.last?.unacknowledged)
        #expect(first > 16_384)
        #expect(server.kind(of: frame(.ack, number: 1), on: 1, now: .at(.milliseconds(800))) == nil)
        #expect(server.kind(of: bindFrame(0), on: 0) == nil)
        server.bound(Binding(tunnel: 0, address: "0.0.0.0", port: 9))
        #expect(server.sent(on: 0, .at(.milliseconds(1_000))) == ["bound"])
        #expect(server.kind(of: frame(.ack, number: 2), on: 0, now: .at(.milliseconds(1_100))) == nil)
        #expect(try silent(&server, at: 1_700).isEmpty)
    }

    @Test("the only lane is not reported before its PING is unanswered")
    func onlyLane() throws {
        var server = try serverWithStream(limits { $0.pingJitter = 0 })
        try server.tick(now: .start)
        try answer(&server, 0, at: .at(.milliseconds(1)))
        server.write(two, bytes(20_000))
        #expect(!server.frames(.at(.milliseconds(1))).isEmpty)
        for time in stride(from: 500, through: 11_500, by: 500) {
            #expect(try silent(&server, at: time).isEmpty, "\(time) ms")
        }
        #expect(try silent(&server, at: 13_000) == [.first])
    }

    @Test("a lane with a long round trip is reported after four of them")
    func longRoundTrip() throws {
        var server = try serverWithStream(limits { $0.pingJitter = 0 })
        #expect(try server.attach(LaneID(1), epoch: 1, peerReceived: 0, now: .start))
        try server.tick(now: .start)
        let (first, second) = (server.nextFrame(on: .first, now: .start), server.nextFrame(on: LaneID(1), now: .start))
        for (lane, ping) in [(UInt32(0), try #require(first)), (1, try #require(second))] {
            #expect(server.kind(of: frame(.pong, number: ping.number), on: lane, now: .at(.seconds(1))) == nil)
        }
        server.write(two, bytes(20_000))
        #expect(!server.frames(on: 1, .at(.seconds(1))).isEmpty)
        // Lane 0 answers the probes that follow each second.
        for time in stride(from: 1_500, through: 4_900, by: 100) {
            #expect(try silent(&server, at: time).isEmpty, "\(time) ms")
            try answer(&server, 0, at: .at(.milliseconds(time)))
        }
        var reported: Int?
        for time in stride(from: 5_000, through: 7_000, by: 100) where reported == nil {
            if try silent(&server, at: time) == [LaneID(1)] { reported = time }
            try answer(&server, 0, at: .at(.milliseconds(time)))
        }
        #expect(try #require(reported) < 6_500)
    }
}
