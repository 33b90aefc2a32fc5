import Platform
import Testing

@testable import Mux

/// The congestion window (page SendingPolicy) keeps paths of every kind full and their queues short.
@Suite struct CongestionWindowTests {
    /// A bulk transfer over a path with one bottleneck, to a peer that acknowledges as this implementation does.
    private struct BulkTransfer {
        /// Bytes per second.
        var rate: Double
        /// Round trip without queues, in seconds.
        var time: Double
        /// Whether other bulk streams wait too.
        var isShared = false
        /// Whether an interactive stream sends continuously.
        var isBesideInteractive = false
        /// Capacity of the replay buffer, in bytes.
        var bound = 4_194_304
        /// Mean time between two lost segments, in seconds; nil without loss.
        var lossPeriod: Double?
        /// Whether the kernel reports its retransmissions.
        var reportsLoss = false
        private(set) var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        private(set) var now = 0.0
        private var inFlight: [(bytes: Int, arrives: Double, sample: PathEstimate.Sample)] = []
        private var acks: [(bytes: Int, arrives: Double, sample: PathEstimate.Sample)] = []
        private var first = 0, firstAck = 0
        private var bytesInFlight = 0
        private var toSend = 0
        private var arrived = 0, wait = 0.0, count = 0
        private var bottleneckIsFree = 0.0
        private var nextLoss = 0.0, heldUntil = 0.0
        private var generator = SplitMix(state: 7)
        private var unacknowledged = 0
        private var unacknowledgedSince = Double.infinity
        private var lastSample: PathEstimate.Sample?

        init(rate: Double, time: Double) {
            self.rate = rate
            self.time = time
        }

        private static func instant(_ seconds: Double) -> Instant { .at(.nanoseconds(Int64(seconds * 1e9))) }

        /// Answers the first PING of a carrier.
        mutating func answerPing() {
            now += time
            congestion.answered(within: .seconds(time), now: Self.instant(now))
        }

        /// Sends the bytes and waits until all are acknowledged.
        ///
        /// - Returns: the elapsed seconds.
        mutating func burst(_ bytes: Int) -> Double {
            let start = now
            toSend = bytes
            while toSend > 0 || bytesInFlight > 0 { step(until: .infinity) }
            return now - start
        }

        /// Advances by `seconds`; sends nothing if `isIdle`.
        ///
        /// - Returns: the used share of the path's rate, and the mean delay of a frame at the bottleneck in seconds.
        mutating func run(_ seconds: Double, isIdle: Bool = false) -> (use: Double, wait: Double) {
            let end = now + seconds
            (arrived, wait, count) = (0, 0, 0)
            toSend = isIdle ? 0 : .max
            while now < end { step(until: end) }
            return (Double(arrived) / seconds / rate, count > 0 ? wait / Double(count) : 0)
        }

        /// Sends as much as the window permits, and advances to the next event.
        private mutating func step(until end: Double) {
            send()
            let arrival = first < inFlight.count ? inFlight[first].arrives : .infinity
            let ackTime = firstAck < acks.count ? acks[firstAck].arrives : .infinity
            let due = unacknowledgedSince + 0.020
            let stretch = congestion.stretchDeadline.map { Double($0.nanoseconds - Instant.start.nanoseconds) / 1e9 }
            now = min(arrival, ackTime, due, end, max(now, stretch ?? .infinity))
            congestion.tick(now: Self.instant(now))
            if now == arrival {
                let frame = inFlight[first]
                first += 1
                arrived += frame.bytes
                unacknowledged += frame.bytes
                unacknowledgedSince = min(unacknowledgedSince, now)
                lastSample = frame.sample
            }
            if unacknowledged >= MuxLimits().ackBytes || now == due, let sample = lastSample {
                acks.append((unacknowledged, now + time / 2, sample))
                (unacknowledged, unacknowledgedSince) = (0, .infinity)
            }
            if now == ackTime {
                let ack = acks[firstAck]
                firstAck += 1
                bytesInFlight -= ack.bytes
                congestion.acknowledged(ack.bytes, ack.sample, now: Self.instant(now))
            }
        }

        private mutating func send() {
            if isBesideInteractive { congestion.interactive.sendsShort(StreamID(4), now: Self.instant(now)) }
            let room = min(congestion.limit(now: Self.instant(now)), bound)
            while toSend > 0, bytesInFlight < room {
                if bytesInFlight == 0 { congestion.restart(now: Self.instant(now)) }
                let bytes = min(toSend, isShared ? congestion.sharedChunk : congestion.chunk)
                let sample = congestion.sample(now: Self.instant(now))
                bottleneckIsFree = max(now, bottleneckIsFree) + Double(bytes) / rate
                inFlight.append((bytes, arrival(), sample))
                bytesInFlight += bytes
                if toSend < .max { toSend -= bytes }
                wait += bottleneckIsFree - now
                count += 1
            }
            if toSend > 0 { congestion.isLimiting(now: Self.instant(now)) } else { congestion.isIdle() }
        }

        /// When the peer gets a frame that leaves the bottleneck now. A lost one comes again after a round trip, and all
        /// frames behind it wait for it.
        private mutating func arrival() -> Double {
            var arrives = bottleneckIsFree + time / 2
            if let lossPeriod, bottleneckIsFree >= nextLoss {
                let unit = Double(generator.next() >> 11) / Double(1 << 53)
                nextLoss = bottleneckIsFree - lossPeriod * log(1 - unit)
                arrives += time
                if reportsLoss { congestion.isLosing(now: Self.instant(now + time)) }
            }
            heldUntil = max(heldUntil, arrives)
            return heldUntil
        }
    }

    @Test(
        "a path is full after 3 s and stays full, and a byte waits for little longer than the peer's ACK delay",
        arguments: [
            (0.125e6, 0.2), (1.25e6, 0.03), (1.25e6, 0.3), (12.5e6, 0.001), (12.5e6, 0.02), (12.5e6, 0.1),
            (12.5e6, 0.25),
            (125e6, 0.0005), (125e6, 0.02), (1_000e6, 0.0001),
        ]
    )
    func paths(rate: Double, time: Double) {
        for isShared in [false, true] {
            // How long a byte waits in one run depends on where in the round the ACKs come, by up to a quarter.
            let waits = [0.9, 1, 1.1].map { factor in
                var transfer = BulkTransfer(rate: rate, time: time * factor)
                transfer.isShared = isShared
                transfer.answerPing()
                _ = transfer.run(3)
                let (use, wait) = transfer.run(30)
                #expect(use > 0.95, "\(use) of the path")
                // A quarter of the round trip, 25 ms for the peer's ACK delay, and four chunks.
                return wait / (0.25 * transfer.time + 0.025 + 4 * Double(MuxLimits.sharedData) / rate)
            }.sorted()
            #expect(waits[1] < 1 && waits[2] < 1.1, "a byte waited for \(waits) of the limit")
        }
    }

    @Test(
        "beside an interactive stream a path stays full, and a byte waits for at most one ACK, two chunks and 5 ms",
        arguments: [(1.25e6, 0.03), (1.25e6, 0.3), (12.5e6, 0.02), (12.5e6, 0.1), (12.5e6, 0.25), (125e6, 0.02)]
    )
    func pathsBesideInteractive(rate: Double, time: Double) {
        var transfer = BulkTransfer(rate: rate, time: time)
        transfer.isBesideInteractive = true
        transfer.answerPing()
        _ = transfer.run(5)
        let (use, wait) = transfer.run(4)
        #expect(use > 0.95, "\(use) of the path")
        let limit = Double(65_536 + MuxLimits.maximumData + MuxLimits.sharedData) / rate + 0.005
        #expect(wait < limit, "a byte waited for \(wait) s")
    }

    @Test(
        "after a round trip grows by 10 %, 80 % of the path is used until that is measured, and then all of it",
        arguments: [(12.5e6, 0.02), (12.5e6, 0.1), (12.5e6, 0.25), (125e6, 0.02)]
    )
    func longerBesideInteractive(rate: Double, time: Double) {
        var transfer = BulkTransfer(rate: rate, time: time)
        transfer.isBesideInteractive = true
        transfer.answerPing()
        _ = transfer.run(5)
        transfer.time *= 1.1
        let (meanwhile, _) = transfer.run(20)
        #expect(meanwhile > 0.8, "\(meanwhile) of the path")
        _ = transfer.run(5)
        let (use, _) = transfer.run(5)
        #expect(use > 0.95, "\(use) of the path")
    }

    @Test("a path that holds more than the replay buffer is used as far as the buffer permits")
    func bound() {
        var transfer = BulkTransfer(rate: 125e6, time: 0.1)
        _ = transfer.run(3)
        let (use, _) = transfer.run(10)
        #expect(use > 0.95 * 4_194_304 / 0.1 / 125e6)
    }

    @Test(
        "a path that becomes slower has short queues again after two round trips through the queue that it had",
        arguments: [(12.5e6, 1.25e6, 0.05), (12.5e6, 1.25e6, 0.2), (1.25e6, 0.25e6, 0.1), (125e6, 12.5e6, 0.02)]
    )
    func slower(before: Double, after: Double, time: Double) {
        // The result of one run depends on where in the round the rate falls.
        var uses: [Double] = []
        var waits: [Double] = []
        for factor in [0.9, 0.95, 1, 1.05, 1.1] {
            for start in [5.0, 6, 7] {
                let time = time * factor
                var transfer = BulkTransfer(rate: before, time: time)
                transfer.answerPing()
                _ = transfer.run(start)
                let queued = Double(transfer.congestion.window) / after
                transfer.rate = after
                _ = transfer.run(2 * (queued + time))
                let (use, wait) = transfer.run(5)
                uses.append(use)
                waits.append(wait)
            }
        }
        let (use, wait) = (uses.sorted()[uses.count / 2], waits.sorted()[waits.count / 2])
        let worst = (use: uses.min() ?? 0, wait: waits.max() ?? .infinity)
        #expect(use > 0.9 && worst.use > 0.85, "\(use) of the path, \(worst.use) in the worst run")
        let limit = 0.25 * time + 0.04 + 6 * Double(MuxLimits.sharedData) / after
        #expect(wait < limit && worst.wait < 2 * limit, "a byte waited for \(wait) s, \(worst.wait) s in the worst run")
    }

    @Test("a path that becomes faster is full within 5 s")
    func faster() {
        var transfer = BulkTransfer(rate: 1.25e6, time: 0.05)
        _ = transfer.run(5)
        transfer.rate = 12.5e6
        _ = transfer.run(5)
        let (use, wait) = transfer.run(5)
        #expect(use > 0.9, "\(use), \(wait) s")
        #expect(wait < 0.06)
    }

    @Test(
        "a path that loses segments stays full, since more is in flight while a retransmission is awaited",
        arguments: [
            // 100 Mbit/s with 0.02, 0.2 and 1 % of loss, and 10 Mbit/s with 0.2 %: rate, round trip, time between losses.
            (12.5e6, 0.1, 0.58, 0.9), (12.5e6, 0.1, 0.058, 0.85), (12.5e6, 0.05, 0.0116, 0.7), (1.25e6, 0.1, 0.58, 0.9),
        ]
    )
    func lossy(rate: Double, time: Double, period: Double, hidden: Double) {
        for reportsLoss in [false, true] {
            var transfer = BulkTransfer(rate: rate, time: time)
            transfer.lossPeriod = period
            transfer.reportsLoss = reportsLoss
            transfer.answerPing()
            _ = transfer.run(5)
            let (use, _) = transfer.run(30)
            // A proxy may hide the loss: only the stalls show then.
            #expect(use > (reportsLoss ? 0.95 : hidden), "\(use) of the path, reported: \(reportsLoss)")
        }
    }

    @Test("a longer or shorter round trip is measured within 25 s")
    func times() {
        var transfer = BulkTransfer(rate: 12.5e6, time: 0.02)
        _ = transfer.run(5)
        transfer.time = 0.15
        _ = transfer.run(25)
        var (use, wait) = transfer.run(10)
        #expect(use > 0.9, "longer: \(use), \(wait) s")
        #expect(wait < 0.08)
        transfer.time = 0.02
        _ = transfer.run(1)
        (use, wait) = transfer.run(10)
        #expect(use > 0.9, "shorter: \(use), \(wait) s")
        #expect(wait < 0.08)
    }

    @Test("bursts with pauses between them also measure a longer round trip")
    func bursts() {
        var transfer = BulkTransfer(rate: 12.5e6, time: 0.02)
        transfer.answerPing()
        for _ in 0..<5 {
            _ = transfer.burst(3_000_000)
            _ = transfer.run(2, isIdle: true)
        }
        transfer.time = 0.15
        var last = 0.0
        for _ in 0..<20 {
            last = transfer.burst(3_000_000)
            _ = transfer.run(2, isIdle: true)
        }
        #expect(last < 0.7, "\(last) s for a burst that the path carries in 0.39 s")
    }

    @Test("after an idle minute a path is full at once")
    func idle() {
        var transfer = BulkTransfer(rate: 12.5e6, time: 0.1)
        _ = transfer.run(5)
        _ = transfer.run(60, isIdle: true)
        let (use, _) = transfer.run(1)
        #expect(use > 0.92, "\(use) at once")
    }

    /// Congestion windows at intervals. In each interval a stream may send a short chunk, and then a stream may send a
    /// long frame.
    private func windows(
        _ sent: [(short: StreamID?, long: StreamID?)],
        each milliseconds: Int,
        ackTime: Duration,
        bytes: Int = 1_000_000
    ) -> [Int] {
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        return sent.enumerated().map { number, sent in
            let now = Instant.at(.milliseconds((number + 1) * milliseconds))
            congestion.restart(now: now)
            let sample = congestion.sample(now: now)
            if let stream = sent.short { congestion.interactive.sendsShort(stream, now: now + ackTime) }
            if let stream = sent.long { congestion.interactive.sendsLong(stream) }
            congestion.acknowledged(bytes, sample, now: now + ackTime)
            return congestion.window
        }
    }

    @Test("for 1 s after a short chunk the window of a fast path is smaller", arguments: [100, 500, 1_000, 5_000])
    func interactive(ackTime: Int) {
        let milliseconds = Int(CongestionWindow.interactiveSpan / .milliseconds(1))
        for (more, isOver) in [(-1, false), (0, true)] {
            let seen = windows(
                [(nil, nil), (StreamID(2), nil), (nil, nil)],
                each: milliseconds + more,
                ackTime: .microseconds(ackTime)
            )
            let less = seen[0] - Self.interactiveDifference
            #expect(seen[0] > CongestionWindow.ackAllowance.bulk)
            #expect(seen == [seen[0], less, isOver ? seen[0] : less], "after \(milliseconds + more) ms")
        }
    }

    @Test("the small first reads of one or several bulk transfers do not count as interactive")
    func bulkBegins() {
        let two = StreamID(2), four = StreamID(4)
        let seen = windows(
            [(nil, nil), (two, two), (four, four), (two, four)],
            each: 50,
            ackTime: .microseconds(500)
        )
        #expect(seen == [seen[0], seen[0], seen[0], seen[0] - Self.interactiveDifference])
    }

    /// By how much the startup window of a path that holds 1,000,000 bytes is smaller beside interactive streams.
    private static let interactiveDifference =
        CongestionWindow.ackAllowance.bulk - CongestionWindow.ackAllowance.interactive
        + Int(((CongestionWindow.startupGain.first - CongestionWindow.startupGain.later) * 1_000_000).rounded())

    @Test("once another lane is gone, the window grows to twice the product, and to 2.9 times only at the start")
    func regrowth() {
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        congestion.restart(now: .start)
        let sample = congestion.sample(now: .start)
        congestion.acknowledged(1_000_000, sample, now: .start + .microseconds(500))
        let first = congestion.window
        congestion.regrow()
        congestion.acknowledged(1, sample, now: .start + .microseconds(500))
        #expect(abs(first - congestion.window - 900_000) < 10)
    }

    @Test(
        "on a slow path, 64 KiB of bulk alone are in flight, and 32 KiB beside interactive streams or while it probes"
    )
    func slowPath() {
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        var (now, windows) = (Instant.start, [Int]())
        congestion.restart(now: now)
        for round in 0..<350 {
            let sample = congestion.sample(now: now)
            now = now + .milliseconds(50)
            if round == 100 { congestion.interactive.sendsShort(StreamID(2), now: now) }
            congestion.isLimiting(now: now)
            congestion.acknowledged(2_000, sample, now: now)
            windows.append(congestion.window)
        }
        #expect(Set(windows[0..<100]) == [CongestionWindow.leastAlone])
        #expect(Set(windows[100..<120]) == [CongestionWindow.least])
        #expect(Set(windows[120..<195]) == [CongestionWindow.leastAlone])
        // The time for a probe comes every ten seconds.
        #expect(windows[195...].contains(CongestionWindow.least))
        #expect(windows.last == CongestionWindow.leastAlone)
    }

    @Test("an interactive stream still counts after a bulk transfer began just before or after its short chunk")
    func bulkBeginsBesideInteractive() {
        let two = StreamID(2), four = StreamID(4)
        for order in [[two, four], [four, two]] {
            var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
            congestion.restart(now: .start)
            let sample = congestion.sample(now: .start)
            for stream in order { congestion.interactive.sendsShort(stream, now: .start) }
            congestion.interactive.sendsLong(four)
            congestion.acknowledged(1_000_000, sample, now: .start + .microseconds(500))
            let besideInteractive = congestion.window
            congestion.interactive.sendsLong(two)
            congestion.acknowledged(1, sample, now: .start + .microseconds(500))
            let difference = CongestionWindow.ackAllowance.bulk - CongestionWindow.ackAllowance.interactive
            #expect(congestion.window >= besideInteractive + difference)
        }
    }

    @Test("frames are long if the window holds four of them, or two of them on a fast path")
    func frameLengths() {
        /// The longest frame and the window after one acknowledgement of `bytes`.
        func measured(_ bytes: Int, within ackTime: Duration) -> (chunk: Int, window: Int) {
            var congestion = CongestionWindow(ackDelay: .milliseconds(1), now: .start)
            congestion.restart(now: .start)
            congestion.acknowledged(bytes, congestion.sample(now: .start), now: .start + ackTime)
            return (congestion.chunk, congestion.window)
        }
        let long = MuxLimits.maximumData, short = MuxLimits.sharedData
        let slow = measured(75_000, within: .milliseconds(100))
        #expect(slow.chunk == short && slow.window >= 2 * long && slow.window < 4 * long)
        let wide = measured(130_000, within: .milliseconds(100))
        #expect(wide.chunk == long && wide.window >= 4 * long)
        let fast = measured(24_000, within: .microseconds(300))
        #expect(fast.chunk == long && fast.window >= 2 * long && fast.window < 4 * long)
        let near = measured(8_000, within: .microseconds(100))
        #expect(near.chunk == short && near.window < 2 * long)
    }

    @Test("a hostile peer's ACKs leave the window and the quantum within their bounds, at any time of the clock")
    func extremes() {
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        let sample = congestion.sample(now: .start)
        let limit = Int(Int32.max)
        for now in [Instant.start, .at(.nanoseconds(1)), Instant(nanoseconds: 0), Instant(nanoseconds: .max)] {
            congestion.acknowledged(.max, sample, now: now)
            #expect(congestion.window >= CongestionWindow.least && congestion.window <= limit)
            congestion.acknowledged(0, sample, now: now)
            #expect((0...CongestionWindow.maximumQuantum).contains(congestion.quantum))
            #expect(congestion.window >= CongestionWindow.least && congestion.window <= limit)
            congestion.answered(within: .zero, now: now)
        }
    }

    @Test("a sample from another carrier does not affect the rate of this carrier")
    func foreignSamples() {
        var old = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        old.acknowledged(50_000_000, old.sample(now: .start), now: .at(.milliseconds(10)))
        let stale = old.sample(now: .at(.milliseconds(10)))
        var congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .at(.seconds(1)))
        congestion.acknowledged(1_000, stale, now: .at(.seconds(2)))
        #expect(congestion.window == CongestionWindow.first)
    }
}
