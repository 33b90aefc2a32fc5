import NIOCore
import Testing

@testable import Mux

/// Liveness (protocol page, section 7).
@Suite struct KeepAliveTests {
    @Test("N1 a peer that acknowledges nothing for 2 s gets a PING, and counts as dead 10 s later")
    func unacknowledged() throws {
        var server = try serverWithStream(limits { $0.pingInterval = .seconds(3_600) })
        try server.tick(now: .start)
        let first = try #require(server.numbers(of: .ping).first)
        try server.receive(frame(.pong, number: first), now: .start)
        try server.receive(frame(.ack, number: 1), now: .start)
        // Received frames are acknowledged.
        _ = server.frames(.at(.milliseconds(20)))
        server.write(two, bytes(10))
        #expect(server.frames().count == 1)
        #expect(server.deadline == .at(.seconds(2)))
        try server.tick(now: .at(.milliseconds(1_999)))
        #expect(server.numbers(of: .ping) == [])
        try server.tick(now: .at(.seconds(2)))
        let again = server.numbers(of: .ping)
        #expect(again.count == 1)
        try server.tick(now: .at(.milliseconds(11_999)))
        #expect(server.silence(.at(.seconds(12))) == true)
    }

    @Test("a peer that acknowledges in time, or has nothing to acknowledge, gets no PING")
    func acknowledged() throws {
        var server = try serverWithStream(limits { $0.pingInterval = .seconds(3_600) })
        try server.tick(now: .start)
        let first = try #require(server.numbers(of: .ping).first)
        try server.receive(frame(.pong, number: first), now: .start)
        try server.receive(frame(.ack, number: 1), now: .start)
        for second in 0..<10 {
            let now = Instant.at(.seconds(second))
            server.write(two, bytes(10))
            _ = server.frames(now)
            try server.tick(now: now + .milliseconds(900))
            try server.receive(frame(.ack, number: UInt64(second) + 2), now: now + .milliseconds(950))
        }
        try server.tick(now: .at(.seconds(1_000)))
        #expect(server.numbers(of: .ping) == [])
    }

    @Test("a thousand probes within ten seconds cause at most eleven PINGs, the first at once")
    func probes() throws {
        var server = session(.server)
        var pings = 0
        for step in 0..<1_000 {
            let now = Instant.at(.milliseconds(10 * step))
            server.probe(now: now)
            try server.tick(now: now)
            for ping in server.frames(now).filter({ $0.header.type == .ping }) {
                pings += 1
                try server.receive(frame(.pong, number: ping.number), now: now)
            }
            if step == 0 { #expect(pings == 1) }
            #expect(server.hasJustAnswered(now: now))
        }
        #expect((9...11).contains(pings))
        #expect(pings < MuxLimits.leastPings)
        #expect(!server.hasJustAnswered(now: .at(.seconds(12))), "an old answer is no sign of life")
    }

    @Test("a probe that must wait keeps its own timeout for the answer")
    func delayedProbe() throws {
        var server = session(.server)
        try server.tick(now: .start)
        let first = try #require(server.numbers(of: .ping).first)
        try server.receive(frame(.pong, number: first), now: .start)
        server.probe(now: .at(.milliseconds(100)), timeout: .seconds(2))
        #expect(server.deadline == .at(.seconds(1)))
        try server.tick(now: .at(.seconds(1)))
        #expect(server.numbers(of: .ping).count == 1)
        #expect(server.silence(.at(.seconds(3))) == true)
    }

    @Test("the next carrier gets a PING at once, however recent the last one was")
    func nextCarrier() throws {
        var server = session(.server)
        try server.tick(now: .start)
        let first = try #require(server.numbers(of: .ping).first)
        try server.receive(frame(.pong, number: first), now: .start)
        server.detach(now: .start)
        try server.attach(peerReceived: 0, now: .at(.milliseconds(10)))
        try server.tick(now: .at(.milliseconds(10)))
        #expect(server.numbers(of: .ping).count == 1)
        #expect(!server.hasJustAnswered(now: .at(.milliseconds(10))))
    }

    private func pinged(_ seed: UInt64 = 1) -> (KeepAlive, UInt64) {
        var keepAlive = KeepAlive(limits: MuxLimits(), seed: seed, now: .start)
        guard case .ping(let payload) = keepAlive.tick(now: .start) else { return (keepAlive, 0) }
        return (keepAlive, payload)
    }

    @Test("the first PING is sent at once, and the next 16 to 24 s after the answer, spread over that range")
    func jitter() {
        var waits: [Duration] = []
        for seed in 0..<UInt64(500) {
            var (keepAlive, payload) = pinged(seed)
            #expect(keepAlive.pong(payload, now: .at(.seconds(1))) == true)
            let due = keepAlive.deadline
            waits.append(due.since(.at(.seconds(1))))
            #expect(keepAlive.tick(now: .at(.milliseconds(16_999))) == .none)
            #expect(keepAlive.tick(now: due) != .none)
        }
        #expect(waits.allSatisfy { $0 >= .seconds(16) && $0 <= .seconds(24) })
        #expect(waits.contains { $0 < .seconds(17) } && waits.contains { $0 > .seconds(23) })
    }

    @Test("sessions with different seeds send different payloads")
    func payloads() {
        #expect(Set((0..<1_000).map { pinged($0).1 }).count == 1_000)
    }

    @Test("a peer counts as dead after 10 s of silence, and not a nanosecond sooner")
    func dead() {
        var (keepAlive, _) = pinged()
        #expect(keepAlive.deadline == .at(.seconds(10)))
        #expect(keepAlive.tick(now: .at(.nanoseconds(9_999_999_999))) == .none)
        #expect(keepAlive.tick(now: .at(.seconds(10))) == .dead)
    }

    @Test("the deadline is extended while the peer acknowledges new frames")
    func progress() throws {
        var server = session(.server)
        try server.tick(now: .start)
        for _ in 0..<3 { _ = server.open(visit, now: .start) }
        _ = server.frames()
        try server.receive(frame(.ack, number: 1), now: .at(.seconds(9)))
        try server.tick(now: .at(.seconds(18)))
        try server.receive(frame(.ack, number: 2), now: .at(.seconds(18)))
        try server.receive(frame(.ack, number: 2), now: .at(.seconds(27)))
        #expect(server.deadline == .at(.seconds(28)), "a repeated ACK is no progress")
        #expect(server.silence(.at(.seconds(28))) == true)
    }

    @Test("only a PONG or an ACK of new frames is a sign of life, since a path may be dead in one direction")
    func oneWay() throws {
        var server = try serverWithStream()
        try server.tick(now: .start)
        for second in 1..<10 {
            try server.receive(frame(.data, 2, bytes(1)), now: .at(.seconds(second)))
            try server.receive(frame(.pong, number: 5), now: .at(.seconds(second)))
        }
        #expect(server.silence(.at(.seconds(10))) == true)
    }

    @Test("M23 an unasked PONG changes nothing")
    func unasked() {
        var (keepAlive, payload) = pinged()
        let before = keepAlive.deadline
        #expect(keepAlive.pong(payload &+ 1, now: .at(.seconds(1))) == false)
        #expect(keepAlive.deadline == before && keepAlive.roundTrip == nil)
        #expect(keepAlive.pong(payload, now: .at(.seconds(2))) == true)
        #expect(keepAlive.roundTrip == .seconds(2))
        #expect(keepAlive.pong(payload, now: .at(.seconds(3))) == false, "a PONG counts once")
    }

    @Test("a probe sends a PING at once, but no second one while an answer is due")
    func probe() throws {
        var server = session(.server)
        try server.tick(now: .start)
        let first = try #require(server.frames().first)
        server.probe(now: .at(.seconds(1)))
        #expect(server.frames().isEmpty)
        try server.receive(frame(.pong, number: first.number), now: .at(.seconds(1)))
        #expect(server.roundTrip == .seconds(1))
        server.probe(now: .at(.seconds(2)))
        #expect(server.sent() == ["ping"])
        #expect(server.deadline == .at(.seconds(12)))
    }

    @Test("a server sends 150 to 226 PINGs in an hour")
    func hour() throws {
        var server = session(.server)
        var client = session(.client)
        var now = Instant.start
        var pings = 0
        while now < .at(.seconds(3_600)) {
            now = min(server.deadline, client.deadline)
            try server.tick(now: now)
            try client.tick(now: now)
            for frame in server.frames(now) {
                pings += frame.header.type == .ping ? 1 : 0
                try client.receive(frame.arrived, now: now)
            }
            for frame in client.frames(now) { try server.receive(frame.arrived, now: now) }
            for frame in server.frames(now) { try client.receive(frame.arrived, now: now) }
        }
        #expect((150...226).contains(pings))
    }

    @Test("a rate limit forgets events after ten seconds, over any gap")
    func slidingWindow() {
        var window = SlidingWindow(limit: 2)
        #expect(window.record(now: .start) == true)
        #expect(window.record(now: .at(.seconds(9))) == true)
        #expect(window.record(now: .at(.milliseconds(9_900))) == false)
        #expect(window.record(now: .at(.seconds(10))) == false, "the third in the last ten seconds")
        #expect(window.record(now: .at(.seconds(1_000_000))) == true)
        #expect(window.record(now: .start) == true, "a clock that runs backwards does not trap")
        #expect(window.record(now: Instant(nanoseconds: 0)) == false)
        #expect(window.record(now: Instant(nanoseconds: .max)) == true)
    }

    @Test("instants stay within their clock")
    func instants() {
        #expect(Instant(nanoseconds: .max) + .seconds(1) == Instant(nanoseconds: .max))
        #expect(Instant.at(.seconds(3)) + .seconds(-1) == .at(.seconds(2)))
        #expect(Instant(nanoseconds: 5) + .seconds(-1) == Instant(nanoseconds: 0))
        #expect(Instant(nanoseconds: 5) + .seconds(Int64.min) == Instant(nanoseconds: 0))
        #expect(Instant.start + .seconds(Int64.max) == Instant(nanoseconds: .max))
        #expect(Instant.start.since(.at(.seconds(1))) == .zero)
        #expect(Instant.start.duration(to: .at(.seconds(1))) == .seconds(1))
        #expect(Instant.at(.seconds(1)).duration(to: .start) == .seconds(-1))
        #expect(Instant(nanoseconds: .max).since(Instant(nanoseconds: 0)) == .nanoseconds(Int64.max))
    }
}

extension Session {
    fileprivate mutating func numbers(of type: FrameType) -> [UInt64] {
        frames().filter { $0.header.type == type }.map(\.number)
    }
}
