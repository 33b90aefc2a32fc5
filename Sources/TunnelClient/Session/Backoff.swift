import Mux

/// When to dial next. Pure: it is told what happened and when, and how the dice fell.
///
/// - A carrier lost after the server had proved itself is dialled again at once, at most twice a second.
/// - After a failed try the wait is random between zero and a ceiling that doubles from 0.5 s to 30 s (full jitter:
///   clients of one server spread out instead of coming in waves).
/// - The ceiling falls back once a carrier has held for ten seconds, and to half as many failures for each that held
///   for one: a path that comes and goes is not hammered, and streams that get on between two cuts do not wait as if the server were gone.
struct Backoff: Sendable {
    static let first = Duration.milliseconds(500)
    static let ceiling = Duration.seconds(30)
    /// A carrier that held so long counts as one that works.
    static let steady = Duration.seconds(10)
    /// One that held so long carried something.
    static let useful = Duration.seconds(1)
    /// Between two dials at least.
    static let spacing = Duration.milliseconds(500)
    /// The longest that a server's or proxy's wish to be left alone is obeyed.
    static let longestWish = Duration.seconds(300)

    /// The first wait after a refusal by a server that has let this run in before, and the longest.
    static let refusalWaits = (first: Duration.seconds(60), longest: Duration.seconds(900))

    private var failures = 0
    private var refusals = 0
    private var lastDial: Instant?
    /// Failed tries since the last session, for `--max-retries`.
    private(set) var triesSinceSession = 0

    /// A dial begins.
    mutating func dialled(now: Instant) {
        lastDial = now
    }

    /// A session stood, however it ended.
    mutating func sessionStood() {
        triesSinceSession = 0
        refusals = 0
    }

    /// The server has refused what it took before in this run: it is asked again slowly, from one minute on, since an
    /// operator has to mend it.
    ///
    /// - Parameter unit: a random number, 0 to 1.
    /// - Returns: how long to wait before the next dial.
    mutating func refused(unit: Double, now: Instant) -> Duration {
        triesSinceSession += 1
        let (first, longest) = Self.refusalWaits
        let wait = min(first * (1 << min(refusals, 4)), longest)
        refusals += 1
        return spaced(min(wait + wait * (unit / 4), longest), now: now)
    }

    /// The dial failed.
    ///
    /// - Parameters:
    ///   - unit: a random number, 0 to 1.
    ///   - wish: what the other side asked for.
    /// - Returns: how long to wait before the next.
    mutating func failed(unit: Double, wish: Duration?, now: Instant) -> Duration {
        triesSinceSession += 1
        let ceiling = min(Self.first * (1 << min(failures, 6)), Self.ceiling)
        failures += 1
        let jitter = ceiling * unit
        return spaced(wish.map { obeyed($0, unit: unit, atLeast: jitter) } ?? jitter, now: now)
    }

    /// A session was lost after it had stood for `held`.
    mutating func lost(held: Duration, unit: Double, wish: Duration?, now: Instant) -> Duration {
        sessionStood()
        if held >= Self.steady { failures = 0 } else if held >= Self.useful { failures /= 2 }
        return spaced(wish.map { obeyed($0, unit: unit, atLeast: Self.first * unit) } ?? .zero, now: now)
    }

    /// A wish, and as much again at random: it was told to many.
    private func obeyed(_ wish: Duration, unit: Double, atLeast jitter: Duration) -> Duration {
        let wish = min(wish, Self.longestWish)
        return wish + max(jitter, wish * unit)
    }

    private func spaced(_ wait: Duration, now: Instant) -> Duration {
        guard let lastDial else { return wait }
        return max(wait, Self.spacing - now.since(lastDial))
    }
}
