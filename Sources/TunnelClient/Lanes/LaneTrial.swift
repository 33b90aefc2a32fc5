import Mux

/// Measures what further lanes add. Pure: an automaton around its phase.
///
/// ```
/// ready ──begin──▶ opening ──all are there──▶ measuring ──a fifth more each──▶ ready
///   ▲                 │                          │
///   │◀───abandoned────┴──────────────────────────┤
///   │                                            │ less
///   └──────────────── time, or other traffic ◀── waiting
/// ```
///
/// If lanes share a bottleneck, a new lane takes its rate from the others. If the path loses packets, or throttles each
/// carrier, the others keep their rate. Rates of lossy paths vary by chance, so a gain near the bound is measured for twice
/// the time.
struct LaneTrial: Sendable, Equatable {
    /// The smallest relative gain for which a lane is kept.
    static let leastGain = 0.2
    /// Lanes that a trial opens. If bulk already has more lanes, it opens as many as there are. Three lanes show their gain
    /// sooner than one, since their rates vary less.
    static let step = 3
    /// The relative gain below which lanes need no further measurement.
    static let noGain = 0.05
    /// The measurements of a trial at most. Each one shares a half with the next: together they take twice the time.
    static let measurements = 3
    /// Share of their earlier rate that the other lanes must keep. Below it, a common bottleneck is assumed.
    static let keptShare = 0.85
    /// The first and the longest wait after lanes that added nothing.
    static let waits = (first: Duration.seconds(60), longest: Duration.seconds(600))
    /// The relative change of the rate, up or down, that ends a wait.
    static let change = 2.0
    /// Time after a trial in which the other lanes regain the rate of the closed ones. It doubles with each failed trial of a
    /// transfer, so that a path whose rate swings has few trials.
    static let recovery = Duration.seconds(10)

    private enum Phase: Sendable, Equatable {
        case ready
        /// So many lanes are being dialled.
        case opening(Baseline, dials: Int)
        /// Lanes are on trial; `samples` are measurements that decided nothing.
        case measuring(Baseline, lanes: Set<UInt32>, samples: [Sample])
        /// Lanes did not help at this rate.
        case waiting(since: Instant, until: Instant, rate: Double)
    }

    /// What there was before the trial.
    private struct Baseline: Sendable, Equatable {
        /// Bytes a second.
        var rate: Double
        /// The lanes that carried them.
        let lanes: Int

        /// A lane adds no more than each of the others delivers.
        func most(with added: Int) -> Double { rate * Double(lanes + added) / Double(lanes) }
    }

    /// One measurement: bytes a second of all lanes, and of those that are not on trial.
    struct Sample: Sendable, Equatable {
        let total: Double
        let others: Double
    }

    /// The result of a trial.
    enum Outcome: Sendable, Equatable {
        /// `keep` of the lanes are of use, and add `percent` each. The others have to be closed, since they add `spare`
        /// percent. All lanes together should deliver at most `most` bytes a second.
        case helps(lanes: Set<UInt32>, keep: Int, percent: Int, spare: Int, most: Double)
        /// None of the lanes is of use: together they add `percent`.
        case helpsNot(lanes: Set<UInt32>, percent: Int)
    }

    private var phase = Phase.ready
    private var failures = 0
    /// Whether a trial of this transfer was repeated with another baseline.
    private var hasRepeated = false

    /// Whether no trial runs, and the last failed one is long enough ago.
    func isReady(now: Instant) -> Bool {
        switch phase {
        case .ready: true
        case .waiting(_, let until, _): now >= until
        case .opening, .measuring: false
        }
    }

    /// The lanes on trial.
    var lanes: Set<UInt32> {
        if case .measuring(_, let lanes, _) = phase { lanes } else { [] }
    }

    /// The number of lanes that are being dialled for the trial, or are on trial.
    var size: Int {
        switch phase {
        case .opening(_, let dials): dials
        case .measuring(_, let lanes, _): lanes.count
        case .ready, .waiting: 0
        }
    }

    /// Begins with lanes that have to be dialled, beside `lanes` that deliver `rate`.
    mutating func begin(_ dials: Int, rate: Double, lanes: Int) {
        phase = .opening(Baseline(rate: rate, lanes: lanes), dials: dials)
    }

    /// Takes the lanes that were dialled for the trial and have a carrier.
    mutating func observe(_ present: Set<UInt32>, isDialling: Bool, now: Instant) {
        switch phase {
        case .opening(let baseline, let dials):
            if !present.isEmpty, present.count >= dials || !isDialling {
                phase = .measuring(baseline, lanes: present, samples: [])
            } else if !isDialling {
                fail(baseline.rate, now: now)
            }
        case .measuring(let baseline, let lanes, _):
            if present.isEmpty {
                fail(baseline.rate, now: now)
            } else if present != lanes {
                phase = .measuring(baseline, lanes: present, samples: [])
            }
        case .ready, .waiting: break
        }
    }

    /// Takes a new measurement.
    mutating func measured(_ sample: Sample, now: Instant) -> Outcome? {
        switch phase {
        case .measuring(let baseline, let lanes, let samples):
            return judge(samples + [sample], baseline, lanes, now: now)
        case .waiting(let since, _, let failed):
            // Other traffic, or another path: the measurement no longer applies.
            if now.since(since) >= Self.recovery * (1 << max(0, min(failures - 1, 6))),
                sample.total > failed * Self.change || sample.total * Self.change < failed
            {
                phase = .ready
            }
            return nil
        case .ready, .opening: return nil
        }
    }

    /// Raises the baseline to a rate that was measured while lanes were dialled: the slow start of the first lane may take
    /// longer than expected.
    mutating func raise(to rate: Double) {
        guard case .opening(var baseline, let dials) = phase, baseline.lanes == 1 else { return }
        baseline.rate = max(baseline.rate, rate)
        phase = .opening(baseline, dials: dials)
    }

    /// Ends a trial without a result, since lanes or traffic have changed.
    mutating func abandon() {
        if size > 0 { phase = .ready }
    }

    /// One of the dials failed, or its lane has another use.
    mutating func dropDial() {
        guard case .opening(let baseline, let dials) = phase else { return }
        phase = dials > 1 ? .opening(baseline, dials: dials - 1) : .ready
    }

    /// Forgets failures, since the transfer is over.
    mutating func forget() { self = Self() }

    private mutating func judge(
        _ samples: [Sample],
        _ baseline: Baseline,
        _ lanes: Set<UInt32>,
        now: Instant
    ) -> Outcome? {
        let total = samples.reduce(0) { $0 + $1.total } / Double(samples.count)
        let others = samples.reduce(0) { $0 + $1.others } / Double(samples.count)
        // The other lanes may have become faster by themselves.
        let before = max(1, baseline.rate, others)
        let gain = total / before - 1
        let each = gain / Double(lanes.count)
        let isShared = others < baseline.rate * Self.keptShare
        var keep = 0
        if each >= Self.leastGain, !isShared {
            keep = lanes.count
        } else if samples.count < Self.measurements, gain >= Self.noGain || total < baseline.rate * Self.keptShare {
            phase = .measuring(baseline, lanes: lanes, samples: samples)
            return nil
        } else {
            // Each kept lane but the last is assumed to add a full share of the baseline; the last one adds the rest.
            let least = Self.leastGain - 1e-9
            keep = (0..<lanes.count).prefix { gain - Double($0) / Double(baseline.lanes) >= least }.count
        }
        guard keep > 0 else {
            if total < baseline.rate * Self.keptShare, !hasRepeated {
                // The total fell although lanes were added: the earlier rate was a chance peak, or the path has changed.
                hasRepeated = true
                phase = .ready
            } else {
                fail(min(baseline.rate, total), now: now)
            }
            return .helpsNot(lanes: lanes, percent: Self.percent(gain))
        }
        self = Self()
        let most = baseline.most(with: keep)
        return .helps(
            lanes: lanes,
            keep: keep,
            percent: Self.percent(gain / Double(keep)),
            spare: Self.percent(total / most - 1),
            most: most
        )
    }

    private static func percent(_ gain: Double) -> Int { Int(min(99.99, gain) * 100 + (gain < 0 ? -0.5 : 0.5)) }

    private mutating func fail(_ rate: Double, now: Instant) {
        let wait = min(Self.waits.first * (1 << min(failures, 4)), Self.waits.longest)
        failures += 1
        phase = .waiting(since: now, until: now + wait, rate: rate)
    }
}
