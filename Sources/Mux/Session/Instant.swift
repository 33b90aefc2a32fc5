/// A point on a monotonic clock that the caller owns, in nanoseconds since an arbitrary start.
///
/// The protocol modules have no clock. Every input that depends on time takes an instant, so tests can simulate hours
/// in microseconds.
public struct Instant: InstantProtocol {
    /// Nanoseconds since the clock's start.
    public let nanoseconds: UInt64

    /// Creates the instant `nanoseconds` after the clock's start.
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Orders instants by time.
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Returns the instant `span` later, within the clock's range.
    public static func + (instant: Instant, span: Duration) -> Instant { instant.advanced(by: span) }

    /// Returns the instant `duration` later. The result stays within the clock's range if it would leave it.
    public func advanced(by duration: Duration) -> Instant {
        let (seconds, attoseconds) = duration.components
        let whole = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let span = whole.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
        let isEarlier = seconds < 0 || attoseconds < 0
        guard !whole.overflow, !span.overflow else { return Instant(nanoseconds: isEarlier ? 0 : .max) }
        let distance = span.partialValue.magnitude
        let result =
            isEarlier
            ? nanoseconds.subtractingReportingOverflow(distance) : nanoseconds.addingReportingOverflow(distance)
        guard result.overflow else { return Instant(nanoseconds: result.partialValue) }
        return Instant(nanoseconds: isEarlier ? 0 : .max)
    }

    /// Returns the time from this instant to `other`, negative if `other` is earlier.
    public func duration(to other: Instant) -> Duration {
        other < self ? .zero - since(other) : other.since(self)
    }

    /// Returns the time from `earlier` to this instant, or zero if `earlier` is later.
    public func since(_ earlier: Instant) -> Duration {
        guard nanoseconds > earlier.nanoseconds else { return .zero }
        return .nanoseconds(Int64(clamping: nanoseconds - earlier.nanoseconds))
    }
}
