import Mux

/// Notices that the kernel sends segments of a carrier again.
struct LossWatch {
    /// The kernel is asked at most once in this time, since that is a system call.
    private static let period = Duration.milliseconds(20)

    private var known: UInt32?
    private var askedAt: Instant?

    /// Returns whether segments were sent again since the last time.
    ///
    /// - Parameter retransmitted: segments that were sent again, in all.
    mutating func sees(_ retransmitted: @autoclosure () -> UInt32?, now: Instant) -> Bool {
        if let askedAt, now.since(askedAt) < Self.period { return false }
        askedAt = now
        let before = known
        known = retransmitted()
        guard let before, let known else { return false }
        return known != before
    }
}
