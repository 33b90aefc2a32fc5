import Mux

/// Measures the rate at which a session delivers, over a second or more in which nothing about its lanes changes. Pure.
///
/// A measurement begins once slow start is over, and takes at least ten round trips. The next one begins in the middle of
/// it. A rate that still rises fast is no result.
struct DeliveryMeter: Sendable {
    /// The shortest time of slow start, and of a measurement after it.
    static let shortest = (settling: Duration.milliseconds(500), window: Duration.seconds(1))
    /// The longest time of either, for round trips of more than a second.
    static let longest = Duration.seconds(10)
    /// The round trips that slow start and a measurement take, each.
    static let roundTrips = 10
    /// The greatest growth from one half of a measurement to the other. More means that slow start goes on.
    static let steepest = 1.3

    /// A result, in bytes a second.
    struct Rate: Sendable, Equatable {
        /// All lanes together.
        var total = 0.0
        /// All lanes together in the half of the measurement that was the faster one.
        var best = 0.0
        /// The lanes that were there before a trial and carry bulk.
        var others = 0.0
    }

    private struct Span {
        var bytes = 0.0
        var others = 0.0
        var seconds = 0.0

        static func + (left: Span, right: Span) -> Span {
            Span(
                bytes: left.bytes + right.bytes,
                others: left.others + right.others,
                seconds: left.seconds + right.seconds
            )
        }
    }

    /// The last measurement; nil until there is one, and while the rate rises.
    private(set) var rate: Rate?
    private var last: Instant?
    private var settled: Instant?
    private var spans: [Span] = []

    /// Forgets everything measured, since lanes or traffic have changed.
    mutating func restart(roundTrip: Duration?, now: Instant) {
        rate = nil
        spans = []
        last = now
        settled = now + Self.span(Self.shortest.settling, roundTrip)
    }

    /// The rate since the last observation, in bytes a second; 0 at the first one.
    func pace(of bytes: UInt64, now: Instant) -> Double {
        guard let last, now > last else { return 0 }
        return Double(bytes) / (now.since(last) / .seconds(1))
    }

    /// Lowers the best rate of the last measurement to `bound`, in bytes a second. Chance has made it too high.
    mutating func cap(at bound: Double) {
        if let best = rate?.best { rate?.best = min(best, bound) }
    }

    /// Adds the bytes since the last call, and those among them of lanes that are not on trial and carry bulk.
    ///
    /// - Returns: whether a measurement is complete, and ``rate`` is new.
    mutating func add(_ bytes: UInt64, others: UInt64, roundTrip: Duration?, now: Instant) -> Bool {
        defer { last = now }
        guard let last, let settled, now > last else { return false }
        // Observations come at any time: the middle of the span decides.
        guard last + now.since(last) / 2 >= settled else { return false }
        spans.append(Span(bytes: Double(bytes), others: Double(others), seconds: now.since(last) / .seconds(1)))
        let window = Self.span(Self.shortest.window, roundTrip) / .seconds(1)
        guard spans.count > 1, Self.sum(spans[...]).seconds >= 0.9 * window else { return false }
        let half = spans.count / 2
        let (early, late) = (Self.sum(spans[..<half]), Self.sum(spans[half...]))
        spans.removeFirst(half)
        let rates = (early: early.bytes / early.seconds, late: late.bytes / late.seconds)
        guard rates.late <= rates.early * Self.steepest else {
            rate = nil
            return false
        }
        let all = early + late
        rate = Rate(
            total: all.bytes / all.seconds,
            best: max(rates.early, rates.late),
            others: all.others / all.seconds
        )
        return true
    }

    private static func sum(_ spans: ArraySlice<Span>) -> Span { spans.reduce(Span(), +) }

    private static func span(_ shortest: Duration, _ roundTrip: Duration?) -> Duration {
        min(longest, max(shortest, (roundTrip ?? .zero) * roundTrips))
    }
}
