/// A point on a monotonic clock that the caller owns, in nanoseconds since some start that means nothing.
///
/// The protocol modules have no clock of their own: every input that depends on time takes the time with it, so that
/// tests can play hours in microseconds.
public struct Instant: Sendable, Hashable, Comparable {
    /// Nanoseconds since the clock's start.
    public let nanoseconds: UInt64

    /// Creates the moment that lies `nanoseconds` after the clock's start.
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Orders moments by time.
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The moment `span` later; a negative span or an overflow stays at the clock's ends.
    public static func + (moment: Instant, span: Duration) -> Instant {
        let (seconds, attoseconds) = span.components
        let nanoseconds = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard seconds >= 0, attoseconds >= 0 else { return moment }
        guard !nanoseconds.overflow else { return Instant(nanoseconds: .max) }
        let sum = moment.nanoseconds.addingReportingOverflow(
            UInt64(nanoseconds.partialValue) &+ UInt64(attoseconds / 1_000_000_000)
        )
        return Instant(nanoseconds: sum.overflow ? .max : sum.partialValue)
    }

    /// The time from `earlier` to this moment, zero where `earlier` is the later one.
    public func since(_ earlier: Instant) -> Duration {
        guard nanoseconds > earlier.nanoseconds else { return .zero }
        return .nanoseconds(Int64(clamping: nanoseconds - earlier.nanoseconds))
    }
}
