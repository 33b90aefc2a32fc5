import Mux

/// Measures the rate at which a session delivers, over a few seconds in which nothing about its lanes changes. Pure.
///
/// A measurement begins once slow start is over, and takes at least ten round trips. A rate that still rises fast is no
/// result: the measurement goes on.
struct DeliveryMeter: Sendable {
    /// The shortest time of slow start, and of a measurement after it.
    static let shortest = (settling: Duration.seconds(1), window: Duration.seconds(2))
    /// The longest time of either, for round trips of more than a second.
    static let longest = Duration.seconds(10)
    /// The round trips of slow start and of a measurement.
    static let roundTrips = 10
    /// The growth from one half of a measurement to the other that means slow start.
    static let steepest = 1.3

    /// Bytes a second in the last measurement; nil until there is one, and while the rate rises.
    private(set) var rate: Double?
    private var last: Instant?
    private var settled: Instant?
    private var spans: [(bytes: Double, seconds: Double)] = []

    /// Forgets everything measured, since lanes or traffic have changed.
    mutating func restart(roundTrip: Duration?, now: Instant) {
        rate = nil
        spans = []
        settled = now + Self.span(Self.shortest.settling, roundTrip)
    }

    /// Corrects the last measurement, which chance has made too high.
    mutating func cap(at bound: Double) { rate = rate.map { min($0, bound) } }

    /// Adds the bytes since the last call.
    ///
    /// - Returns: whether a measurement is complete, and ``rate`` is new.
    mutating func add(_ bytes: UInt64, roundTrip: Duration?, now: Instant) -> Bool {
        defer { last = now }
        guard let last, let settled, now > last else { return false }
        // Observations are not exactly a second apart: the middle of the span decides.
        guard last + now.since(last) / 2 >= settled else { return false }
        spans.append((Double(bytes), now.since(last) / .seconds(1)))
        let window = Self.span(Self.shortest.window, roundTrip) / .seconds(1)
        guard spans.count > 1, spans.reduce(0, { $0 + $1.seconds }) >= 0.9 * window else { return false }
        defer { spans = [] }
        let half = spans.count / 2
        let (early, late) = (Self.rate(spans[..<half]), Self.rate(spans[half...]))
        let isSteady = late <= early * Self.steepest
        rate = isSteady ? Self.rate(spans[...]) : nil
        return isSteady
    }

    private static func rate(_ spans: ArraySlice<(bytes: Double, seconds: Double)>) -> Double {
        let (bytes, seconds) = spans.reduce((0, 0)) { ($0.0 + $1.bytes, $0.1 + $1.seconds) }
        return bytes / seconds
    }

    private static func span(_ shortest: Duration, _ roundTrip: Duration?) -> Duration {
        min(longest, max(shortest, (roundTrip ?? .zero) * roundTrips))
    }
}
