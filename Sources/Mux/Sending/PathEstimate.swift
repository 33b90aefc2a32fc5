/// What the acknowledgements tell about the path: the most that it has delivered in a second lately, and the shortest time
/// that an answer took. Their product is what the path itself holds (the bandwidth-delay product).
///
/// Pure: it is told what was sent and acknowledged, and when.
struct PathEstimate: Sendable {
    /// What was known when a frame was sent: given back when it is acknowledged.
    struct Sample: Sendable {
        fileprivate let sentAt: Instant
        /// Bytes that had been acknowledged then, and since when.
        fileprivate let delivered: UInt64
        fileprivate let deliveredAt: Instant
        /// When the last of these bytes had been sent.
        fileprivate let deliveredSentAt: Instant
    }

    /// Rounds in which the highest rate and the longest gap are remembered, twice.
    private static let rounds = 5
    /// A queue has formed if every acknowledgement of a round took more than this multiple of the shortest round trip and
    /// this many seconds. Only the round's own rate counts then, so that the window follows a falling rate within two
    /// rounds. A smaller increase may come from a path that has become longer.
    private static let queued = (share: 1.25, seconds: 0.02)
    /// Time in which the shortest round trip is remembered, twice.
    static let memory = Duration.seconds(10)

    private var delivered: UInt64 = 0
    private var deliveredAt: Instant
    /// When the last acknowledged frame was sent.
    private var deliveredSentAt: Instant
    /// The highest rate in these rounds and in the ones before, bytes per second.
    private var rates = (now: 0.0, before: 0.0)
    /// The shortest round trip in this span and in the one before, seconds.
    private var times = (now: Double.infinity, before: Double.infinity)
    private var timesSince: Instant
    private var round = (number: 0, endsAt: UInt64(0))
    /// The shortest round trip and the highest rate of this round, or of the round that has just ended.
    private var own = (shortest: Double.infinity, rate: 0.0)
    /// The longest time without an acknowledgement in these rounds and in the ones before, seconds.
    private var gaps = (now: 0.0, before: 0.0)
    /// When an acknowledgement last came while bytes were in flight without a break; nil after a pause.
    private var lastAcknowledged: Instant?

    init(now: Instant) {
        deliveredAt = now
        deliveredSentAt = now
        timesSince = now
    }

    /// Bytes per second; 0 while nothing is known.
    var rate: Double { max(rates.now, rates.before) }

    /// Seconds from a frame to its acknowledgement; infinite while nothing is known.
    var minimumRTT: Double { min(times.now, times.before) }

    /// The longest time without an acknowledgement while the path was busy, in the last rounds and until now, seconds.
    func longestGap(now: Instant) -> Double {
        max(gaps.now, gaps.before, lastAcknowledged.map { now.since($0).inSeconds } ?? 0)
    }

    /// Records that fewer bytes are in flight than may be: for that reason alone the next acknowledgement may be late.
    mutating func pause() {
        lastAcknowledged = nil
    }

    /// A frame leaves.
    func sample(now: Instant) -> Sample {
        Sample(sentAt: now, delivered: delivered, deliveredAt: deliveredAt, deliveredSentAt: deliveredSentAt)
    }

    /// Nothing is in flight, and a frame is about to leave: the idle time before does not count.
    mutating func restart(now: Instant) {
        deliveredAt = now
        deliveredSentAt = now
        lastAcknowledged = nil
        gaps = (0, 0)
    }

    /// What an acknowledgement has ended.
    struct Progress {
        /// A round trip's worth of bytes has been acknowledged.
        let endsRound: Bool
        /// The span for the shortest round trip is over.
        let endsSpan: Bool
        /// Time from the frame to its acknowledgement, seconds.
        let roundTrip: Double
    }

    /// The peer has acknowledged bytes, the last of which were sent with `sample`.
    mutating func acknowledged(_ bytes: Int, _ sample: Sample, now: Instant) -> Progress {
        delivered &+= UInt64(clamping: bytes)
        deliveredAt = now
        if let lastAcknowledged { gaps.now = max(gaps.now, now.since(lastAcknowledged).inSeconds) }
        lastAcknowledged = now
        let roundTrip = now.since(sample.sentAt).inSeconds
        let endsSpan = learn(roundTrip: roundTrip, now: now)
        // Acknowledgements that waited for a retransmission come together, but the frames left at the path's rate.
        let span = max(now.since(sample.deliveredAt), sample.sentAt.since(sample.deliveredSentAt)).inSeconds
        deliveredSentAt = max(deliveredSentAt, sample.sentAt)
        // A sample of an earlier carrier's frames says nothing of this one.
        if span > 0, delivered > sample.delivered {
            let rate = Double(delivered - sample.delivered) / span
            rates.now = max(rates.now, rate)
            own.rate = max(own.rate, rate)
        }
        own.shortest = min(own.shortest, roundTrip)
        let endsRound = sample.delivered >= round.endsAt
        if endsRound { round = (round.number + 1, delivered) }
        return Progress(endsRound: endsRound, endsSpan: endsSpan, roundTrip: roundTrip)
    }

    /// Forgets rates of earlier rounds at the end of one, once enough of them have passed or a queue has formed.
    ///
    /// - Parameter isBusy: whether frames waited. Only a path that was kept busy may look slower.
    mutating func forgetRates(isBusy: Bool) {
        defer { own = (.infinity, 0) }
        guard isBusy else { return }
        if own.shortest > minimumRTT * Self.queued.share + Self.queued.seconds {
            round.number = 0
            (rates, gaps) = ((0, own.rate), (0, gaps.now))
        } else if round.number >= Self.rounds {
            round.number = 0
            (rates, gaps) = ((0, rates.now), (0, gaps.now))
        }
    }

    /// A question was answered after this time.
    ///
    /// - Returns: whether the span for the shortest round trip is over.
    mutating func learn(roundTrip: Double, now: Instant) -> Bool {
        times.now = min(times.now, roundTrip)
        guard now.since(timesSince) >= Self.memory else { return false }
        timesSince = now
        times = (roundTrip, times.now)
        return true
    }
}

extension Duration {
    /// For arithmetic with rates.
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
