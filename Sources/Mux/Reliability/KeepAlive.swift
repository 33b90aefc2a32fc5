/// Decides when to send a PING and when the peer counts as dead (protocol page, section 7). Depends only on its inputs.
struct KeepAlive: Sendable {
    private enum State {
        /// No PING is outstanding. The next one allows `timeout` for its answer, if shorter than usual.
        case quiet(nextPing: Instant, timeout: Duration? = nil)
        case asked(payload: UInt64, at: Instant, deadline: Instant)
    }

    /// The action that is due.
    enum Action: Equatable {
        case none
        /// Send a PING with this payload.
        case ping(UInt64)
        /// The peer has not answered in time.
        case dead
    }

    /// Shortest time between two PINGs on one carrier, so that probes never exceed what the peer accepts. Each end
    /// accepts at least ``MuxLimits/leastPings`` in ten seconds.
    static let spacing = Duration.seconds(1)

    private var state: State
    /// The instant of the last PING on this carrier.
    private var lastAsked: Instant?
    private var counter: UInt64
    private let limits: MuxLimits
    /// The time between an answer and the next PING, before jitter.
    private(set) var interval: Duration
    private var generator: SplitMix
    /// The last measured time from PING to PONG.
    private(set) var roundTrip: Duration?

    /// Creates a timer whose first PING is due at once.
    ///
    /// - Parameter seed: random bits for the jitter and for payloads that cannot be guessed.
    init(limits: MuxLimits, seed: UInt64, now: Instant) {
        self.limits = limits
        self.interval = limits.pingInterval
        self.generator = SplitMix(state: seed)
        self.counter = generator.next()
        self.state = .quiet(nextPing: now)
    }

    /// Whether a PING is outstanding.
    var isAsking: Bool {
        if case .asked = state { true } else { false }
    }

    /// The time that the answer to the outstanding PING may take.
    var answerTime: Duration {
        if case .asked(_, let at, let deadline) = state { deadline.since(at) } else { limits.pingTimeout }
    }

    /// The instant at which ``tick(now:)`` is due.
    var deadline: Instant {
        switch state {
        case .quiet(let nextPing, _): nextPing
        case .asked(_, _, let deadline): deadline
        }
    }

    /// Returns the action that is due at `now`.
    mutating func tick(now: Instant) -> Action {
        switch state {
        case .quiet(let nextPing, let timeout):
            return now >= nextPing ? ask(now: now, timeout ?? limits.pingTimeout) : .none
        case .asked(_, _, let deadline):
            return now >= deadline ? .dead : .none
        }
    }

    /// Returns whether the peer has answered a PING that was sent within the last second.
    func hasJustAnswered(now: Instant) -> Bool {
        guard case .quiet = state, let lastAsked else { return false }
        return now.since(lastAsked) < Self.spacing
    }

    /// Sends a PING at once, or as soon as ``spacing`` allows. An outstanding PING gets the shorter of both timeouts.
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

    /// Changes the interval. A wait in progress may become shorter, not longer.
    mutating func setInterval(_ new: Duration, now: Instant) {
        interval = new
        if case .quiet(let next, let timeout) = state {
            state = .quiet(nextPing: min(next, now + new), timeout: timeout)
        }
    }

    /// Changes the interval, and waits as long before the next PING, so that the path is idle.
    mutating func beQuiet(for new: Duration, now: Instant) {
        interval = new
        if case .quiet = state { state = .quiet(nextPing: now + new) }
    }

    /// Starts anew with a new carrier: a PING is due at once, to verify both directions.
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

    /// Processes a PONG; one that answers no PING is ignored.
    ///
    /// - Returns: whether it answered the outstanding PING.
    mutating func pong(_ payload: UInt64, now: Instant) -> Bool {
        guard case .asked(payload, let at, _) = state else { return false }
        roundTrip = now.since(at)
        let unit = Double(generator.next() >> 11) / Double(1 << 53)
        let factor = 1 + limits.pingJitter * (2 * unit - 1)
        state = .quiet(nextPing: now + interval * factor)
        return true
    }

    /// Extends the deadline after an acknowledgement of something new, since a path that carries data is alive.
    mutating func progressed(now: Instant) {
        guard case .asked(let payload, let at, _) = state else { return }
        state = .asked(payload: payload, at: at, deadline: now + limits.pingTimeout)
    }
}
