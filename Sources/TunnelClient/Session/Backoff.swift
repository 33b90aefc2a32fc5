import Mux

/// Computes the wait before the next dial. Pure: events, times and random numbers go in.
///
/// - A carrier lost after the server had proved itself is dialled again at once, but not sooner than the spacing allows.
/// - After a failed dial the wait is random, between zero and a ceiling that doubles with each failure. This full jitter
///   spreads the clients of one server.
/// - A carrier that was steady brings the ceiling back to its start, and a useful one halves the count of failures. So a
///   path that comes and goes is not hammered, and streams that progress between two cuts do not wait long.
struct Backoff: Sendable {
    /// The ceiling of the wait after the first failure.
    static let first = Duration.milliseconds(500)
    /// The highest ceiling of the wait.
    static let ceiling = Duration.seconds(30)
    /// The age of a carrier that works.
    static let steady = Duration.seconds(10)
    /// The age of a carrier that transferred something.
    static let useful = Duration.seconds(1)
    /// The shortest time between two dials.
    static let spacing = Duration.milliseconds(500)
    /// The longest pause of a server or proxy that is obeyed.
    static let longestPause = Duration.seconds(300)

    /// The longest wait after a dial that has led to a server in use. Each dial costs the server a handshake.
    static let longestRepeat = Duration.seconds(60)

    /// The first and the longest wait after a refusal by a server that has accepted this run before.
    static let refusalWaits = (first: Duration.seconds(60), longest: Duration.seconds(900))

    private var failures = 0
    private var refusals = 0
    private var repeats = 0
    private var lastDial: Instant?
    /// Failed dials since the last session.
    private(set) var triesSinceSession = 0

    /// Records that a dial begins.
    mutating func dialled(now: Instant) {
        lastDial = now
    }

    /// Records that there was a session, however it ended.
    mutating func sessionStood() {
        triesSinceSession = 0
        refusals = 0
        repeats = 0
    }

    /// Records a refusal by a server that accepted this run before. It is asked again slowly, since an operator has to
    /// correct it.
    ///
    /// - Parameter unit: a random number, 0 to 1.
    /// - Returns: the wait before the next dial.
    mutating func refused(unit: Double, now: Instant) -> Duration {
        triesSinceSession += 1
        let (first, longest) = Self.refusalWaits
        let wait = min(first * (1 << min(refusals, 4)), longest)
        refusals += 1
        return spaced(min(wait + wait * (unit / 4), longest), now: now)
    }

    /// Records a dial that has led to a server in use by another session of the client. It is no failure.
    ///
    /// - Parameter unit: a random number, 0 to 1.
    /// - Returns: the wait before the next dial.
    mutating func serverInUse(unit: Double, now: Instant) -> Duration {
        let ceiling = min(Self.first * (1 << min(repeats, 7)), Self.longestRepeat)
        repeats += 1
        return spaced(ceiling * (0.5 + unit / 2), now: now)
    }

    /// Records a failed dial.
    ///
    /// - Parameters:
    ///   - unit: a random number, 0 to 1.
    ///   - pause: the pause that the peer requested.
    /// - Returns: the wait before the next dial.
    mutating func failed(unit: Double, pause: Duration?, now: Instant) -> Duration {
        triesSinceSession += 1
        let ceiling = min(Self.first * (1 << min(failures, 6)), Self.ceiling)
        failures += 1
        let jitter = ceiling * unit
        return spaced(pause.map { obeyed($0, unit: unit, atLeast: jitter) } ?? jitter, now: now)
    }

    /// Records the loss of a carrier.
    ///
    /// - Parameter held: the age of the carrier.
    /// - Returns: the wait before the next dial.
    mutating func lost(held: Duration, unit: Double, pause: Duration?, now: Instant) -> Duration {
        sessionStood()
        if held >= Self.steady { failures = 0 } else if held >= Self.useful { failures /= 2 }
        return spaced(pause.map { obeyed($0, unit: unit, atLeast: Self.first * unit) } ?? .zero, now: now)
    }

    /// The pause that a peer requested, and up to as much again at random, since many clients received the same request.
    private func obeyed(_ pause: Duration, unit: Double, atLeast jitter: Duration) -> Duration {
        let pause = min(pause, Self.longestPause)
        return pause + max(jitter, pause * unit)
    }

    private func spaced(_ wait: Duration, now: Instant) -> Duration {
        guard let lastDial else { return wait }
        return max(wait, Self.spacing - now.since(lastDial))
    }
}
