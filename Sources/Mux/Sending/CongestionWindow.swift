/// Limits the bytes in flight to what fills the path and a little more. Otherwise interactive bytes would wait in a queue
/// of bulk data (the page SendingPolicy).
///
/// The idea is BBR's: the window follows from the measured rate and the shortest round trip (``PathEstimate``), not from
/// loss. It is their product, up to an eighth of it as headroom, and an allowance for the peer's delay of its ACKs. Beyond
/// that, bytes only wait: in our socket, in a router or at the peer.
///
/// Pure: its inputs are frames sent and acknowledged, with their times.
struct CongestionWindow: Sendable {
    private enum Phase {
        /// The rate still grows: the window is ``startupGain`` times what fills the path, so that it can keep growing.
        case startup(best: Double, idleRounds: Int, gain: Double)
        case steady
        /// The window is half of what fills the path for a moment, so that queues drain and the shortest round trip is
        /// measured.
        case probing(until: Instant)
    }

    /// Window before anything is known. 256 KiB: NIO and the kernel would take as much at once.
    static let first = 262_144
    /// Smallest window beside interactive streams. 32 KiB: two chunks of a shared path, so that there is always something to
    /// acknowledge.
    static let least = 32_768
    /// Smallest window for bulk alone, and until the path has been full once. 64 KiB: less would limit a TCP connection that
    /// grows again after a loss, since the peer acknowledges whole frames.
    static let leastAlone = 65_536
    /// Most that is granted for delayed ACKs and busy processors: with bulk streams alone, and beside interactive ones.
    static let ackAllowance = (bulk: 1_048_576, interactive: 163_840)
    /// Beside interactive streams the allowance is what passes within 6 ms, and 80 KiB at least: an ACK comes after 64 KiB,
    /// and a chunk fills the path meanwhile. With 20 ms a request took 137 ms beside bulk over 100 ms and 100 Mbit/s.
    static let interactiveAllowance = (seconds: 0.006, least: 81_920)
    /// Headroom as a share of the bandwidth-delay product, so that varying round trips do not leave the path idle; beside
    /// interactive streams at most what passes within 2.5 ms.
    static let headroom = (share: 0.125, interactiveSeconds: 0.0025)
    /// How long a stream counts as interactive after it has sent a short chunk.
    static let interactiveSpan = Duration.seconds(1)
    /// Window of startup, as a multiple of what fills the path: at the start of a carrier for bulk alone, and otherwise. 2.9:
    /// the rate then doubles in a round trip although the peer's ACKs are late. With 2 it takes a third longer than the slow
    /// start of TCP, and the queue at the end is half as long.
    static let startupGain = (first: 2.9, later: 2.0)
    /// Rate from which a long frame, some 64 KiB, leaves within a millisecond. Bytes per second.
    static let fast = 64_000_000.0
    /// Most that is granted beyond the window while bytes wait for a retransmission, as multiples of what the path holds.
    ///
    /// A receiver passes nothing on until the lost segment has come again, one round trip later. Without more in flight
    /// the path would run empty meanwhile. One multiple if acknowledgements stall. Two, and no less than ``first``, if the
    /// kernel reports that it sends again: the limit of its unsent bytes then keeps queues short, and the next
    /// retransmission may be lost too.
    static let stretch = (stalled: 1.0, losing: 2.0)
    /// Shortest round trip, in seconds, of a path whose limit is computed again while acknowledgements stall. 4 ms: below
    /// it the next acknowledgement comes sooner than a timer.
    static let shortestStretched = 0.004
    /// How long a retransmission counts, as a multiple of the shortest round trip.
    static let losingRounds = 4.0
    /// Most that one stream sends before the next has its turn. 256 KiB: one read of a socket brings as much, so that the
    /// other end writes it to one socket as well.
    static let maximumQuantum = 262_144

    private static let shortestProbe = Duration.milliseconds(200)

    private let ackDelay: Double
    private var phase = Phase.startup(best: 0, idleRounds: 0, gain: startupGain.first)
    private var path: PathEstimate
    /// Whether frames wait because the window is used up, or because the carrier takes nothing.
    private(set) var isBusy = false
    /// When nothing was in flight last.
    private var idleAt: Instant
    /// When the last retransmission stops counting; nil before the first one.
    private var losesUntil: Instant?
    /// When ``limit(now:)`` may have grown although nothing was acknowledged; nil if no frame waits for that.
    private(set) var stretchDeadline: Instant?
    /// Interactive streams that share the path, reported by the sender.
    var interactive = InteractiveActivity()
    /// Bytes that may be in flight while acknowledgements come regularly.
    private(set) var window: Int

    init(ackDelay: Duration, first: Int = Self.first, now: Instant) {
        self.ackDelay = ackDelay.inSeconds
        window = first
        path = PathEstimate(now: now)
        idleAt = now
    }

    /// Longest frame of one stream while others wait, bytes.
    var sharedChunk: Int { path.rate >= Self.fast ? chunk : MuxLimits.sharedData }

    /// Longest frame of a stream that is alone, bytes. A window that holds only a few long frames
    /// fills unevenly, unless a long frame leaves within a millisecond.
    var chunk: Int {
        let enough = (path.rate >= Self.fast ? 2 : 4) * MuxLimits.maximumData
        return path.rate > 0 && window >= enough ? MuxLimits.maximumData : MuxLimits.sharedData
    }

    /// Bytes that a stream may send in a row while others wait: what leaves within a millisecond.
    var quantum: Int { Int(min(path.rate / 1_000, Double(Self.maximumQuantum))) }

    /// Takes a sample for a frame that leaves.
    func sample(now: Instant) -> PathEstimate.Sample { path.sample(now: now) }

    /// Records that a frame is about to leave while nothing is in flight.
    mutating func restart(now: Instant) {
        path.restart(now: now)
        // Queues have drained by themselves.
        idleAt = now
    }

    /// Bytes that may be in flight now: the window, and what fills the path while it waits for a retransmission.
    func limit(now: Instant) -> Int {
        guard path.rate > 0, path.minimumRTT < .infinity else { return window }
        let product = path.rate * path.minimumRTT
        let isLosing = losesUntil.map { now < $0 } ?? false
        // Acknowledgements come in bursts until the window has filled the path.
        if !isLosing, !isSteady { return window }
        // The peer sends an ACK after a long frame or the ACK delay.
        let usual = ackDelay + Double(MuxLimits.maximumData) / path.rate
        let stalled = path.rate * max(0, path.longestGap(now: now) - usual)
        let more =
            isLosing
            ? max(Self.stretch.losing * product, Double(Self.first)) : min(stalled, Self.stretch.stalled * product)
        return Int(min(Double(window) + more, Double(Int32.max)))
    }

    private var isSteady: Bool {
        if case .steady = phase { true } else { false }
    }

    /// Clears ``stretchDeadline`` once it has passed. The owner then asks for frames.
    mutating func tick(now: Instant) {
        if let stretchDeadline, now >= stretchDeadline { self.stretchDeadline = nil }
    }

    /// Records that the kernel has sent segments of this carrier again.
    mutating func isLosing(now: Instant) {
        guard path.minimumRTT < .infinity else { return }
        losesUntil = now + .seconds(path.minimumRTT * Self.losingRounds)
    }

    /// Lets the window grow quickly again, since another lane is gone and has left its share of a common path.
    mutating func regrow() {
        guard path.rate > 0 else { return }
        phase = .startup(best: path.rate, idleRounds: 0, gain: Self.startupGain.later)
    }

    /// Bytes per second that the path delivers; 0 while nothing is known.
    var rate: Double { path.rate }

    /// The bandwidth-delay product, bytes; 0 while it is not known.
    var product: Double { path.minimumRTT < .infinity ? path.rate * path.minimumRTT : 0 }

    /// Whether an interactive stream has sent something lately.
    func isShared(now: Instant) -> Bool { interactive.isRecent(within: Self.interactiveSpan, now: now) }

    /// Records that a frame waits because the carrier takes nothing. The owner asks again when it does.
    mutating func isBlocked() {
        isBusy = true
        stretchDeadline = nil
    }

    /// Records that a frame waits because the window is used up.
    mutating func isLimiting(now: Instant) {
        isBusy = true
        guard case .steady = phase, path.minimumRTT >= Self.shortestStretched, path.minimumRTT < .infinity else {
            return
        }
        stretchDeadline = now + .seconds(path.minimumRTT / 8)
    }

    /// Records that no frame waits.
    mutating func isIdle() {
        isBusy = false
        stretchDeadline = nil
        path.pause()
    }

    /// Records an acknowledgement of `bytes`; the last of them were sent with `sample`.
    mutating func acknowledged(_ bytes: Int, _ sample: PathEstimate.Sample, now: Instant) {
        let progress = path.acknowledged(bytes, sample, now: now)
        probe(progress.endsSpan, progress.roundTrip, now: now)
        if progress.endsRound { endRound() }
        settle(now: now)
    }

    /// Records the round trip of a PING.
    mutating func answered(within roundTrip: Duration, now: Instant) {
        let endsSpan = path.learn(roundTrip: roundTrip.inSeconds, now: now)
        probe(endsSpan, roundTrip.inSeconds, now: now)
        settle(now: now)
    }

    private mutating func endRound() {
        if case .startup(let best, let idle, let gain) = phase {
            if path.rate >= best * 1.25 {
                phase = .startup(best: path.rate, idleRounds: 0, gain: gain)
            } else if isBusy {
                phase = idle >= 2 ? .steady : .startup(best: best, idleRounds: idle + 1, gain: gain)
            }
        }
        path.forgetRates(isBusy: isBusy)
    }

    /// Begins or ends the moment with a small window, in which the path's own round trip shows.
    private mutating func probe(_ endsSpan: Bool, _ roundTrip: Double, now: Instant) {
        if case .probing(let until) = phase, now >= until { phase = .steady }
        guard endsSpan, isBusy, now.since(idleAt) >= PathEstimate.memory, case .steady = phase else { return }
        phase = .probing(until: now + max(Self.shortestProbe, .seconds(min(roundTrip, 1))))
    }

    private mutating func settle(now: Instant) {
        let (rate, roundTrip) = (path.rate, path.minimumRTT)
        guard rate > 0, roundTrip < .infinity else { return }
        let product = rate * roundTrip
        let besideInteractive = isShared(now: now)
        let allowance =
            besideInteractive
            ? min(
                max(rate * Self.interactiveAllowance.seconds, Double(Self.interactiveAllowance.least)),
                Double(Self.ackAllowance.interactive)
            ) : Double(Self.ackAllowance.bulk)
        // Every ACK may be that late, and the frame that it waits for fills the path meanwhile.
        let delays = min(rate * ackDelay + Double(MuxLimits.sharedData), allowance)
        let headroom = min(
            product * Self.headroom.share,
            besideInteractive ? rate * Self.headroom.interactiveSeconds : .infinity
        )
        let wanted =
            switch phase {
            case .startup(_, _, let gain): (besideInteractive ? Self.startupGain.later : gain) * product + delays
            case .steady: product + headroom + delays
            case .probing: product / 2
            }
        let least =
            switch phase {
            // Until the path has been full once, a few keystrokes do not show what it carries.
            case .startup: Self.leastAlone
            case .steady: besideInteractive ? Self.least : Self.leastAlone
            case .probing: Self.least
            }
        window = max(least, Int(min(wanted, Double(Int32.max))))
    }
}
