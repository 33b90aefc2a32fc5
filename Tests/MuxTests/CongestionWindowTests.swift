import Testing

@testable import Mux

/// How much may be under way (section 4): paths of every kind are kept full, and little stands in queues.
@Suite struct CongestionWindowTests {
    /// A copy that never ends, over a path with one bottleneck and a peer that acknowledges as ours does.
    private struct Copy {
        /// Bytes per second.
        var rate: Double
        /// Seconds there and back, without any queue.
        var time: Double
        /// Whether other copies wait too.
        var isShared = false
        /// Whether somebody types beside it all the time.
        var isInCompany = false
        /// What the replay buffer holds at most.
        var bound = 4_194_304
        private(set) var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        private(set) var now = 0.0
        private var underWay: [(bytes: Int, arrives: Double, stamp: PathEstimate.Sample)] = []
        private var answers: [(bytes: Int, arrives: Double, stamp: PathEstimate.Sample)] = []
        private var first = 0, firstAnswer = 0
        private var bytesUnderWay = 0
        private var toSend = 0
        private var arrived = 0, wait = 0.0, count = 0
        private var bottleneckIsFree = 0.0
        private var unacknowledged = 0
        private var unacknowledgedSince = Double.infinity
        private var lastStamp: PathEstimate.Sample?

        init(rate: Double, time: Double) {
            self.rate = rate
            self.time = time
        }

        private static func moment(_ seconds: Double) -> Instant { .at(.nanoseconds(Int64(seconds * 1e9))) }

        /// The PING with which a carrier begins.
        mutating func isAnswered() {
            now += time
            congestion.answered(within: .seconds(time), now: Self.moment(now))
        }

        /// Sends so many bytes and waits until all were acknowledged.
        ///
        /// - Returns: how long that took.
        mutating func burst(_ bytes: Int) -> Double {
            let start = now
            toSend = bytes
            while toSend > 0 || bytesUnderWay > 0 { step(until: .infinity) }
            return now - start
        }

        /// Runs on for so many seconds; silent, with nothing to send, where `isIdle`.
        ///
        /// - Returns: the share of the path's rate that was used, and how long a byte took beyond the path's own time.
        mutating func run(_ seconds: Double, isIdle: Bool = false) -> (use: Double, wait: Double) {
            let end = now + seconds
            (arrived, wait, count) = (0, 0, 0)
            toSend = isIdle ? 0 : .max
            while now < end { step(until: end) }
            return (Double(arrived) / seconds / rate, count > 0 ? wait / Double(count) : 0)
        }

        /// Sends what may be sent, and goes on to what happens next.
        private mutating func step(until end: Double) {
            send()
            let arrival = first < underWay.count ? underWay[first].arrives : .infinity
            let answer = firstAnswer < answers.count ? answers[firstAnswer].arrives : .infinity
            let due = unacknowledgedSince + 0.020
            now = min(arrival, answer, due, end)
            if now == arrival {
                let frame = underWay[first]
                first += 1
                arrived += frame.bytes
                unacknowledged += frame.bytes
                unacknowledgedSince = min(unacknowledgedSince, now)
                lastStamp = frame.stamp
            }
            if unacknowledged >= 65_536 || now == due, let stamp = lastStamp {
                answers.append((unacknowledged, now + time / 2, stamp))
                (unacknowledged, unacknowledgedSince) = (0, .infinity)
            }
            if now == answer {
                let ack = answers[firstAnswer]
                firstAnswer += 1
                bytesUnderWay -= ack.bytes
                congestion.acknowledged(ack.bytes, ack.stamp, now: Self.moment(now))
            }
        }

        private mutating func send() {
            if isInCompany { congestion.interactive.sendsShort(StreamID(4), now: Self.moment(now)) }
            let room = min(congestion.window, bound)
            while toSend > 0, bytesUnderWay < room {
                if bytesUnderWay == 0 { congestion.restart(now: Self.moment(now)) }
                let bytes = min(toSend, isShared ? congestion.sharedChunk : congestion.chunk)
                let stamp = congestion.sample(now: Self.moment(now))
                bottleneckIsFree = max(now, bottleneckIsFree) + Double(bytes) / rate
                underWay.append((bytes, bottleneckIsFree + time / 2, stamp))
                bytesUnderWay += bytes
                if toSend < .max { toSend -= bytes }
                wait += bottleneckIsFree - now
                count += 1
            }
            if toSend > 0 { congestion.isLimiting() } else { congestion.isIdle() }
        }
    }

    @Test(
        "a path is filled within three seconds and stays full, and a byte waits for little more than the peer's ACKs",
        arguments: [
            (0.125e6, 0.2), (1.25e6, 0.03), (1.25e6, 0.3), (12.5e6, 0.001), (12.5e6, 0.02), (12.5e6, 0.1),
            (12.5e6, 0.25),
            (125e6, 0.0005), (125e6, 0.02), (1_000e6, 0.0001),
        ]
    )
    func paths(rate: Double, time: Double) {
        for isShared in [false, true] {
            var copy = Copy(rate: rate, time: time)
            copy.isShared = isShared
            copy.isAnswered()
            expectFull(&copy)
        }
    }

    private func expectFull(_ copy: inout Copy) {
        let (rate, time) = (copy.rate, copy.time)
        _ = copy.run(3)
        let (use, wait) = copy.run(30)
        #expect(use > 0.95, "\(use) of the path")
        // A quarter of the path's time, the peer's delay, and the pieces that there must be.
        let most = 0.25 * time + 0.025 + 4 * Double(MuxLimits.sharedData) / rate
        #expect(wait < most, "a byte waited for \(wait) s")
    }

    @Test(
        "beside somebody who types a path stays full, and a byte waits there for an ACK's worth and two pieces, and 5 ms",
        arguments: [(1.25e6, 0.03), (1.25e6, 0.3), (12.5e6, 0.02), (12.5e6, 0.1), (12.5e6, 0.25), (125e6, 0.02)]
    )
    func pathsInCompany(rate: Double, time: Double) {
        var copy = Copy(rate: rate, time: time)
        copy.isInCompany = true
        copy.isAnswered()
        _ = copy.run(5)
        let (use, wait) = copy.run(4)
        #expect(use > 0.95, "\(use) of the path")
        let most = Double(65_536 + MuxLimits.maximumData + MuxLimits.sharedData) / rate + 0.005
        #expect(wait < most, "a byte waited for \(wait) s")
    }

    @Test(
        "a path that takes a tenth longer from now on is used for the most part meanwhile, and whole once that is known",
        arguments: [(12.5e6, 0.02), (12.5e6, 0.1), (12.5e6, 0.25), (125e6, 0.02)]
    )
    func longerInCompany(rate: Double, time: Double) {
        var copy = Copy(rate: rate, time: time)
        copy.isInCompany = true
        copy.isAnswered()
        _ = copy.run(5)
        copy.time *= 1.1
        let (meanwhile, _) = copy.run(20)
        #expect(meanwhile > 0.8, "\(meanwhile) of the path")
        _ = copy.run(5)
        let (use, _) = copy.run(5)
        #expect(use > 0.95, "\(use) of the path")
    }

    @Test("a path that holds more than the replay buffer is used as far as that goes")
    func bound() {
        var copy = Copy(rate: 125e6, time: 0.1)
        _ = copy.run(3)
        let (use, _) = copy.run(10)
        #expect(use > 0.95 * 4_194_304 / 0.1 / 125e6)
    }

    @Test("a path that becomes slower has short queues again within ten seconds, a faster one is full within five")
    func rates() {
        var copy = Copy(rate: 12.5e6, time: 0.05)
        _ = copy.run(5)
        copy.rate = 1.25e6
        _ = copy.run(10)
        var (use, wait) = copy.run(5)
        #expect(use > 0.9, "slower: \(use), \(wait) s")
        #expect(wait < 0.12)
        copy.rate = 12.5e6
        _ = copy.run(5)
        (use, wait) = copy.run(5)
        #expect(use > 0.9, "faster: \(use), \(wait) s")
        #expect(wait < 0.06)
    }

    @Test("a route that becomes longer or shorter is learnt within twenty-five seconds")
    func times() {
        var copy = Copy(rate: 12.5e6, time: 0.02)
        _ = copy.run(5)
        copy.time = 0.15
        _ = copy.run(25)
        var (use, wait) = copy.run(10)
        #expect(use > 0.9, "longer: \(use), \(wait) s")
        #expect(wait < 0.08)
        copy.time = 0.02
        _ = copy.run(1)
        (use, wait) = copy.run(10)
        #expect(use > 0.9, "shorter: \(use), \(wait) s")
        #expect(wait < 0.08)
    }

    @Test("a route that becomes longer is learnt by bursts with pauses between them too")
    func bursts() {
        var copy = Copy(rate: 12.5e6, time: 0.02)
        copy.isAnswered()
        for _ in 0..<5 {
            _ = copy.burst(3_000_000)
            _ = copy.run(2, isIdle: true)
        }
        copy.time = 0.15
        var last = 0.0
        for _ in 0..<20 {
            last = copy.burst(3_000_000)
            _ = copy.run(2, isIdle: true)
        }
        #expect(last < 0.7, "\(last) s for what the path carries in 0.39")
    }

    @Test("a minute in which nothing was sent does not make the path look slow")
    func idle() {
        var copy = Copy(rate: 12.5e6, time: 0.1)
        _ = copy.run(5)
        _ = copy.run(60, isIdle: true)
        let (use, _) = copy.run(1)
        #expect(use > 0.92, "\(use) at once")
    }

    /// What may be under way each so many milliseconds: nobody sends little meanwhile, or a stream does at the first of
    /// them, and that or another one sends much afterwards.
    private func windows(
        _ sent: [(little: StreamID?, much: StreamID?)],
        each milliseconds: Int,
        answer: Duration,
        bytes: Int = 1_000_000
    ) -> [Int] {
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        return sent.enumerated().map { number, sent in
            let now = Instant.at(.milliseconds((number + 1) * milliseconds))
            congestion.restart(now: now)
            let stamp = congestion.sample(now: now)
            if let stream = sent.little { congestion.interactive.sendsShort(stream, now: now + answer) }
            if let stream = sent.much { congestion.interactive.sendsLong(stream) }
            congestion.acknowledged(bytes, stamp, now: now + answer)
            return congestion.window
        }
    }

    @Test("for a second after a short chunk less is in flight on a fast path", arguments: [100, 500, 1_000, 5_000])
    func interactive(answer: Int) {
        let milliseconds = Int(CongestionWindow.interactiveSpan / .milliseconds(1))
        for (more, isOver) in [(-1, false), (0, true)] {
            let seen = windows(
                [(nil, nil), (StreamID(2), nil), (nil, nil)],
                each: milliseconds + more,
                answer: .microseconds(answer)
            )
            let less = seen[0] - CongestionWindow.ackAllowance.bulk + CongestionWindow.ackAllowance.interactive
            #expect(seen[0] > CongestionWindow.ackAllowance.bulk)
            #expect(seen == [seen[0], less, isOver ? seen[0] : less], "after \(milliseconds + more) ms")
        }
    }

    @Test("the small reads with which a copy begins are nobody's keystroke, nor are those of several")
    func copyBegins() {
        let two = StreamID(2), four = StreamID(4)
        let seen = windows(
            [(nil, nil), (two, two), (four, four), (two, four)],
            each: 50,
            answer: .microseconds(500)
        )
        let difference = CongestionWindow.ackAllowance.bulk - CongestionWindow.ackAllowance.interactive
        #expect(seen == [seen[0], seen[0], seen[0], seen[0] - difference])
    }

    @Test("a copy that begins beside somebody who types does not make that forgotten, nor one that begins before")
    func copyBeginsInCompany() {
        let two = StreamID(2), four = StreamID(4)
        for order in [[two, four], [four, two]] {
            var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
            congestion.restart(now: .start)
            let stamp = congestion.sample(now: .start)
            for stream in order { congestion.interactive.sendsShort(stream, now: .start) }
            congestion.interactive.sendsLong(four)
            congestion.acknowledged(1_000_000, stamp, now: .start + .microseconds(500))
            let withCompany = congestion.window
            congestion.interactive.sendsLong(two)
            congestion.acknowledged(1, stamp, now: .start + .microseconds(500))
            let difference = CongestionWindow.ackAllowance.bulk - CongestionWindow.ackAllowance.interactive
            #expect(congestion.window >= withCompany + difference)
        }
    }

    @Test("long pieces leave where four are under way, and on a path that is through with one at once where two are")
    func pieces() {
        /// After one acknowledgement of so many bytes: rate and window follow from it.
        func piece(_ bytes: Int, within answer: Duration) -> (piece: Int, window: Int) {
            var congestion = CongestionWindow(ackDelay: .milliseconds(1), now: .start)
            congestion.restart(now: .start)
            congestion.acknowledged(bytes, congestion.sample(now: .start), now: .start + answer)
            return (congestion.chunk, congestion.window)
        }
        let long = MuxLimits.maximumData, short = MuxLimits.sharedData
        let slow = piece(80_000, within: .milliseconds(100))
        #expect(slow.piece == short && slow.window >= 2 * long && slow.window < 4 * long)
        let wide = piece(130_000, within: .milliseconds(100))
        #expect(wide.piece == long && wide.window >= 4 * long)
        let fast = piece(24_000, within: .microseconds(300))
        #expect(fast.piece == long && fast.window >= 2 * long && fast.window < 4 * long)
        let near = piece(8_000, within: .microseconds(100))
        #expect(near.piece == short && near.window < 2 * long)
    }

    @Test("what comes from a hostile peer's ACKs is bounded, whatever the clock says")
    func extremes() {
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        let stamp = congestion.sample(now: .start)
        let most = Int(Int32.max)
        for now in [Instant.start, .at(.nanoseconds(1)), Instant(nanoseconds: 0), Instant(nanoseconds: .max)] {
            congestion.acknowledged(.max, stamp, now: now)
            #expect(congestion.window >= CongestionWindow.least && congestion.window <= most)
            congestion.acknowledged(0, stamp, now: now)
            #expect((0...CongestionWindow.maximumQuantum).contains(congestion.quantum))
            #expect(congestion.window >= CongestionWindow.least && congestion.window <= most)
            congestion.answered(within: .zero, now: now)
        }
    }

    @Test("a stamp of another carrier's, for a frame that was kept, says nothing of this one's rate")
    func foreignStamps() {
        var old = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        old.acknowledged(50_000_000, old.sample(now: .start), now: .at(.milliseconds(10)))
        let stale = old.sample(now: .at(.milliseconds(10)))
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .at(.seconds(1)))
        congestion.acknowledged(1_000, stale, now: .at(.seconds(2)))
        #expect(congestion.window == CongestionWindow.first)
    }
}
