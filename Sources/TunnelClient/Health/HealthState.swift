/// Whether a service that is checked regularly is up. Pure: each result of a check is one event.
///
/// ```
///              good                    3 bad in a row
///  unknown ──────────▶ up ─────────────────────────────▶ down
///     │                 ▲                                  │
///     └── bad ──────────┼──────────────────────────────────┤
///                       └────────── 2 good in a row ───────┘
/// ```
struct HealthState: Equatable, Sendable {
    /// Bad results in a row after which a service is down. 3: one lost packet or one restart is no outage.
    static let fall = 3
    /// Good results in a row after which it is up again. 2: a service that just starts may answer once and fail.
    static let rise = 2

    private enum State: Equatable {
        case unknown
        case up(bad: Int)
        case down(good: Int)
    }

    private var state = State.unknown

    /// Nil before the first result.
    var isUp: Bool? {
        switch state {
        case .unknown: nil
        case .up: true
        case .down: false
        }
    }

    /// Notes a result.
    ///
    /// - Returns: whether ``isUp`` has changed.
    mutating func note(isGood: Bool) -> Bool {
        let before = isUp
        switch (state, isGood) {
        case (.unknown, true), (.up, true): state = .up(bad: 0)
        case (.unknown, false), (.down, false): state = .down(good: 0)
        case (.up(let bad), false): state = bad + 1 < Self.fall ? .up(bad: bad + 1) : .down(good: 0)
        case (.down(let good), true): state = good + 1 < Self.rise ? .down(good: good + 1) : .up(bad: 0)
        }
        return isUp != before
    }
}
