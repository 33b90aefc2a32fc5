import Mux

/// The measurement of what a further lane adds, as an automaton around its phase. Pure.
///
/// ```
/// ready ──begin──▶ opening ──the lane is there──▶ measuring ──a fifth more──▶ ready
///   ▲                 │                               │
///   │◀───abandoned────┴───────────────────────────────┤
///   │                                                 │ less, twice
///   └──────────────── time, or other traffic ◀── waiting
/// ```
///
/// Rates of lossy paths vary by chance, so a lane that seems to add too little gets a second measurement.
struct LaneTrial: Sendable, Equatable {
    /// The smallest relative gain for which a lane is kept.
    static let leastGain = 0.2
    /// The first and the longest wait after a lane that added nothing.
    static let waits = (first: Duration.seconds(60), longest: Duration.seconds(600))
    /// The relative change of the rate, up or down, that ends a wait.
    static let change = 2.0

    private enum Phase: Sendable, Equatable {
        case ready
        /// A lane is being dialled; `known` are the lanes that there were.
        case opening(baseline: Double, known: Set<UInt32>)
        /// A lane is on trial; `first` is a first measurement that did not show enough.
        case measuring(lane: UInt32, baseline: Double, first: Double?)
        /// A lane did not help at this rate.
        case waiting(until: Instant, rate: Double)
    }

    /// The result of a trial, with the gain.
    enum Outcome: Sendable, Equatable {
        /// The lane is of use; `baseline` was the rate without it.
        case helps(lane: UInt32, percent: Int, baseline: Double)
        case helpsNot(lane: UInt32, percent: Int)
    }

    private var phase = Phase.ready
    private var failures = 0

    /// Whether no trial runs, and the last failed one is long enough ago.
    func isReady(now: Instant) -> Bool {
        switch phase {
        case .ready: true
        case .waiting(let until, _): now >= until
        case .opening, .measuring: false
        }
    }

    /// The lane on trial.
    var lane: UInt32? {
        if case .measuring(let lane, _, _) = phase { lane } else { nil }
    }

    /// Whether a lane is being dialled for the trial, or is on trial.
    var isRunning: Bool {
        switch phase {
        case .opening, .measuring: true
        case .ready, .waiting: false
        }
    }

    /// Begins with a lane that has to be dialled.
    mutating func begin(baseline: Double, known: Set<UInt32>) { phase = .opening(baseline: baseline, known: known) }

    /// Begins with a lane that there is, and that carried no bulk traffic so far.
    mutating func begin(baseline: Double, lane: UInt32) {
        phase = .measuring(lane: lane, baseline: baseline, first: nil)
    }

    /// Takes the lanes of an observation.
    mutating func observe(_ lanes: Set<UInt32>, isDialling: Bool, now: Instant) {
        switch phase {
        case .opening(let baseline, let known):
            if let lane = lanes.subtracting(known).min() {
                phase = .measuring(lane: lane, baseline: baseline, first: nil)
            } else if !isDialling {
                fail(baseline, now: now)
            }
        case .measuring(let lane, let baseline, _):
            if !lanes.contains(lane) { fail(baseline, now: now) }
        case .ready, .waiting: break
        }
    }

    /// Takes a new rate of the session.
    mutating func measured(_ rate: Double, now: Instant) -> Outcome? {
        switch phase {
        case .measuring(let lane, let baseline, let first):
            let gain = (first.map { ($0 + rate) / 2 } ?? rate) / max(1, baseline) - 1
            let percent = Int(min(9_999, gain * 100).rounded())
            guard gain >= Self.leastGain else {
                guard first != nil else {
                    phase = .measuring(lane: lane, baseline: baseline, first: rate)
                    return nil
                }
                fail(baseline, now: now)
                return .helpsNot(lane: lane, percent: percent)
            }
            self = Self()
            return .helps(lane: lane, percent: percent, baseline: baseline)
        case .waiting(_, let failed):
            // Other traffic, or another path: what was measured means nothing any more.
            if rate > failed * Self.change || rate * Self.change < failed { self = Self() }
            return nil
        case .ready, .opening: return nil
        }
    }

    /// Ends a trial without a result, since lanes or traffic have changed.
    mutating func abandon() {
        if isRunning { phase = .ready }
    }

    /// Forgets failures, since the transfer is over.
    mutating func forget() { self = Self() }

    private mutating func fail(_ baseline: Double, now: Instant) {
        let wait = min(Self.waits.first * (1 << min(failures, 4)), Self.waits.longest)
        failures += 1
        phase = .waiting(until: now + wait, rate: baseline)
    }
}
