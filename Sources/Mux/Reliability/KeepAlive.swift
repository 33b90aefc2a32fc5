/// When to ask the peer for a sign of life, and when to give it up (protocol page, section 7). A pure function of the
/// times that it is told.
struct KeepAlive: Sendable {
    private enum State {
        /// Nothing is asked. The next question has so much time for its answer, if less than usual.
        case quiet(nextPing: Instant, timeout: Duration? = nil)
        case asked(payload: UInt64, at: Instant, deadline: Instant)
    }

    /// What is to be done at a moment.
    enum Action: Equatable {
        case none
        /// Send a PING with this payload.
        case ping(UInt64)
        /// The peer has been silent for too long.
        case dead
    }

    /// Between two questions on one carrier at least, so that no number of probes exceeds what a peer accepts. Each end
    /// accepts at least ``MuxLimits/leastPings`` in ten seconds.
    static let spacing = Duration.seconds(1)

    private var state: State
    /// When the last question on this carrier was asked.
    private var lastAsked: Instant?
    private var counter: UInt64
    private let limits: MuxLimits
    /// The time between an answer and the next question, before it is moved at random.
    private(set) var interval: Duration
    private var generator: SplitMix
    /// The last measured time from PING to PONG.
    private(set) var roundTrip: Duration?

    /// - Parameter seed: random bits, for the jitter and for payloads that cannot be guessed.
    init(limits: MuxLimits, seed: UInt64, now: Instant) {
        self.limits = limits
        self.interval = limits.pingInterval
        self.generator = SplitMix(state: seed)
        self.counter = generator.next()
        self.state = .quiet(nextPing: now)
    }

    /// Whether a question is under way.
    var isAsking: Bool {
        if case .asked = state { true } else { false }
    }

    /// When ``tick(now:)`` is due next.
    var deadline: Instant {
        switch state {
        case .quiet(let nextPing, _): nextPing
        case .asked(_, _, let deadline): deadline
        }
    }

    /// Does what the time asks for.
    mutating func tick(now: Instant) -> Action {
        switch state {
        case .quiet(let nextPing, let timeout):
            return now >= nextPing ? ask(now: now, timeout ?? limits.pingTimeout) : .none
        case .asked(_, _, let deadline):
            return now >= deadline ? .dead : .none
        }
    }

    /// Whether the peer has answered a question that was asked within the last second.
    func hasJustAnswered(now: Instant) -> Bool {
        guard case .quiet = state, let lastAsked else { return false }
        return now.since(lastAsked) < Self.spacing
    }

    /// Asks at once, or as soon as ``spacing`` allows. If a question is open, its answer may take no longer either.
    mutating func probe(now: Instant, timeout: Duration? = nil) -> Action {
        switch state {
        case .asked(let payload, let at, let deadline):
            state = .asked(payload: payload, at: at, deadline: min(deadline, now + (timeout ?? limits.pingTimeout)))
            return .none
        case .quiet(let nextPing, let shorter):
            let timeouts = [timeout, shorter].compactMap { $0 }
            guard let lastAsked, now.since(lastAsked) < Self.spacing else {
                return ask(now: now, timeouts.min() ?? limits.pingTimeout)
            }
            state = .quiet(nextPing: min(nextPing, lastAsked + Self.spacing), timeout: timeouts.min())
            return .none
        }
    }

    /// Asks more or less often from now on; a wait that has begun may become shorter, not longer.
    mutating func setInterval(_ new: Duration, now: Instant) {
        interval = new
        if case .quiet(let next, let timeout) = state {
            state = .quiet(nextPing: min(next, now + new), timeout: timeout)
        }
    }

    /// A new carrier: whether it carries both ways is asked at once.
    mutating func restart(now: Instant) {
        lastAsked = nil
        state = .quiet(nextPing: now)
    }

    private mutating func ask(now: Instant, _ timeout: Duration) -> Action {
        counter = generator.next()
        lastAsked = now
        state = .asked(payload: counter, at: now, deadline: now + timeout)
        return .ping(counter)
    }

    /// Takes a PONG; one that answers nothing is ignored.
    ///
    /// - Returns: whether it was the answer that was waited for.
    mutating func pong(_ payload: UInt64, now: Instant) -> Bool {
        guard case .asked(payload, let at, _) = state else { return false }
        roundTrip = now.since(at)
        let unit = Double(generator.next() >> 11) / Double(1 << 53)
        let factor = 1 + limits.pingJitter * (2 * unit - 1)
        state = .quiet(nextPing: now + interval * factor)
        return true
    }

    /// The peer has acknowledged something new: a path that carries is alive, so the deadline moves on.
    mutating func progressed(now: Instant) {
        guard case .asked(let payload, let at, _) = state else { return }
        state = .asked(payload: payload, at: at, deadline: now + limits.pingTimeout)
    }
}

/// A small generator for jitter and payloads, seeded by the caller.
struct SplitMix: RandomNumberGenerator, Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
