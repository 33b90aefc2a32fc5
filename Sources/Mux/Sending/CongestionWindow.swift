/// How many bytes may be under way to the peer: as many as fill the path, and little more, so that a keystroke does not
/// stand in a queue that a copy has made (protocol page, section 4).
///
/// The path is known from the acknowledgements: the most that it delivered in a second, and the shortest time that an
/// answer took. Their product is what the path itself holds; the window is up to an eighth more, and what the peer's delay
/// of its ACKs makes necessary. Beyond that, bytes only wait: in our socket, in a router or at the peer.
///
/// Pure: it is told what was sent and acknowledged, and when.
struct CongestionWindow: Sendable {
    /// What was known when a frame was sent: to be given back when it is acknowledged.
    struct Stamp: Sendable {
        fileprivate let sentAt: Instant
        /// Bytes that had been acknowledged then, and since when.
        fileprivate let delivered: UInt64
        fileprivate let deliveredAt: Instant
    }

    private enum Phase {
        /// The rate still grows: twice what fills the path, so that it can go on growing.
        case startup(best: Double, idleRounds: Int)
        case steady
        /// Half of it for a moment, so that queues drain and the path's own time is seen.
        case probing(until: Instant)
    }

    /// Before anything is known. 256 KiB: what NIO and the kernel would take at once anyway.
    static let first = 262_144
    /// Never less: two pieces of a shared path, so that there is always something to acknowledge.
    static let least = 32_768
    /// The most that is granted for delays that are no property of the path, of ACKs and of processors that are busy: where
    /// all copy, and where somebody sends little.
    static let slack = (copies: 1_048_576, inCompany: 262_144)
    /// In company what passes within so many seconds is enough for them, and 80 KiB always: an ACK comes after 64 KiB, and a
    /// piece fills the path meanwhile. 6 ms: with 20, and a whole eighth of the path, a question took 137 ms beside a copy
    /// over 100 ms and 100 Mbit/s.
    static let inCompany = (seconds: 0.006, least: 81_920)
    /// Besides, an eighth of the path is filled twice, so that none of it is lost where times vary; in company no more than
    /// passes within 2.5 ms.
    static let filling = (share: 0.125, secondsInCompany: 0.0025)
    /// In company on a path within one machine or one rack. 160 KiB: each 64 KiB more cost a keystroke a tenth of a
    /// millisecond and more, and with 144 KiB copies are slower.
    static let nearbySlackInCompany = 163_840
    /// How long somebody is company who has sent a little.
    static let company = Duration.seconds(1)
    /// The same on a path that is through with what copies may have under way within ``imperceptible``. 100 ms: whoever
    /// asks more seldom than that is not served by less; and a copy that began in the second after a visitor came or went
    /// was a sixteenth slower.
    static let companyOnFastPath = Duration.milliseconds(100)
    /// What nobody feels who types. 2 ms, seconds.
    static let imperceptible = 0.002
    /// Who answers within it is nearby.
    static let nearby = 0.001
    /// From this rate on a long piece, 64 KiB, leaves within a millisecond. Bytes per second.
    static let fast = 64_000_000.0
    /// The most that a stream sends in its turn, but for a last piece that is longer than those before. 256 KiB: what one
    /// read of a socket brings, so that the other end writes it to one socket as well. With single pieces of 64 KiB 16
    /// copies took up to a fifth more of the processor's time. Whoever sends more than little waits for the turns of all
    /// others.
    static let longestTurn = 262_144

    private static let roundsRemembered = 5
    private static let probeEvery = Duration.seconds(10)
    private static let leastProbe = Duration.milliseconds(200)

    private let ackDelay: Double
    private var phase = Phase.startup(best: 0, idleRounds: 0)
    private var delivered: UInt64 = 0
    private var deliveredAt: Instant
    /// Bytes per second: the most in this span of rounds, and in the one before.
    private var rates = (now: 0.0, before: 0.0)
    /// Seconds: the least in this span of time, and in the one before.
    private var times = (now: Double.infinity, before: Double.infinity)
    private var timesSince: Instant
    private var round = (number: 0, endsAt: UInt64(0))
    /// Something has to wait for the window.
    private var isHolding = false
    /// Who shares the path, told by whoever sends.
    var company = InteractiveActivity()
    /// When nothing was under way last.
    private var emptyAt: Instant
    /// Bytes that may be under way.
    private(set) var window: Int

    init(ackDelay: Duration, first: Int = Self.first, now: Instant) {
        self.ackDelay = ackDelay.inSeconds
        window = first
        deliveredAt = now
        timesSince = now
        emptyAt = now
    }

    /// The most that the path has delivered in a second lately, bytes.
    private var rate: Double { max(rates.now, rates.before) }

    /// The shortest time from a frame to its acknowledgement, seconds.
    private var time: Double { min(times.now, times.before) }

    /// The longest piece of one stream while others wait.
    var sharedPiece: Int { rate >= Self.fast ? piece : MuxLimits.sharedData }

    /// The longest piece of a stream that is alone. A window of few long pieces would be filled by fits and starts, except
    /// on a fast path, which is through with one at once.
    var piece: Int {
        let enough = (rate >= Self.fast ? 2 : 4) * MuxLimits.maximumData
        return rate > 0 && window >= enough ? MuxLimits.maximumData : MuxLimits.sharedData
    }

    /// How many bytes a stream may send in a row while others wait: what leaves within a millisecond.
    var turn: Int { Int(min(rate / 1_000, Double(Self.longestTurn))) }

    /// A frame leaves.
    func stamp(now: Instant) -> Stamp {
        Stamp(sentAt: now, delivered: delivered, deliveredAt: deliveredAt)
    }

    /// Nothing is under way, and a frame is about to leave: the time in which nothing was sent says nothing.
    mutating func begins(now: Instant) {
        deliveredAt = now
        // Queues have drained by themselves.
        emptyAt = now
    }

    /// Whether the path is one within a machine or a rack.
    var isNearby: Bool { time < Self.nearby }

    /// A frame must wait, since `window` is used up.
    mutating func holds() {
        isHolding = true
    }

    /// Nothing waits.
    mutating func rests() {
        isHolding = false
    }

    /// The peer has acknowledged so many bytes, the last of which were sent with `stamp`.
    mutating func acknowledged(_ bytes: Int, _ stamp: Stamp, now: Instant) {
        delivered &+= UInt64(clamping: bytes)
        deliveredAt = now
        learn(time: now.since(stamp.sentAt).inSeconds, now: now)
        let span = now.since(stamp.deliveredAt).inSeconds
        // What an earlier carrier's frames are stamped with says nothing of this one.
        if span > 0, delivered > stamp.delivered { learn(rate: Double(delivered - stamp.delivered) / span) }
        if stamp.delivered >= round.endsAt { endRound() }
        settle(now: now)
    }

    /// A question was answered after this time.
    mutating func answered(within time: Duration, now: Instant) {
        learn(time: time.inSeconds, now: now)
        settle(now: now)
    }

    private mutating func learn(rate: Double) {
        // Who had nothing more to send learns no more than that the path carries this much.
        if rate > rates.now { rates.now = rate }
    }

    private mutating func endRound() {
        round = (round.number + 1, delivered)
        if case .startup(let best, let idle) = phase {
            if rate >= best * 1.25 {
                phase = .startup(best: rate, idleRounds: 0)
            } else if isHolding {
                phase = idle >= 2 ? .steady : .startup(best: best, idleRounds: idle + 1)
            }
        }
        // What a busy path delivered is forgotten when it is busy again, and not because it was left in peace.
        guard isHolding, round.number >= Self.roundsRemembered else { return }
        round.number = 0
        rates = (0, rates.now)
    }

    private mutating func learn(time: Double, now: Instant) {
        if time < times.now { times.now = time }
        if case .probing(let until) = phase, now >= until { phase = .steady }
        guard now.since(timesSince) >= Self.probeEvery else { return }
        timesSince = now
        times = (time, times.now)
        if isHolding, now.since(emptyAt) >= Self.probeEvery, case .steady = phase {
            phase = .probing(until: now + max(Self.leastProbe, .seconds(min(time, 1))))
        }
    }

    private mutating func settle(now: Instant) {
        guard rate > 0, time < .infinity else { return }
        let path = rate * time
        let isThroughAtOnce = isNearby && rate * Self.imperceptible >= Double(Self.slack.copies)
        let isInCompany = company.hasSomebodyWithLittle(
            within: isThroughAtOnce ? Self.companyOnFastPath : Self.company,
            now: now
        )
        let slack =
            switch (isInCompany, isNearby) {
            case (false, _): Double(Self.slack.copies)
            case (true, true): Double(Self.nearbySlackInCompany)
            case (true, false):
                min(max(rate * Self.inCompany.seconds, Double(Self.inCompany.least)), Double(Self.slack.inCompany))
            }
        // Every ACK may be that late, and the frame that it waits for fills the path meanwhile.
        let delays = min(rate * ackDelay + Double(MuxLimits.sharedData), slack)
        let filling = min(path * Self.filling.share, isInCompany ? rate * Self.filling.secondsInCompany : .infinity)
        let wanted =
            switch phase {
            case .startup: 2 * path + delays
            case .steady: path + filling + delays
            case .probing: path / 2
            }
        window = max(Self.least, Int(min(wanted, Double(Int32.max))))
    }
}

extension Duration {
    /// For arithmetic with rates.
    fileprivate var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
