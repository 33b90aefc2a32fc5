import Mux

/// Detects TCP retransmissions on a carrier's connection.
struct LossWatch {
    /// Least time between two queries of the kernel, since each one is a system call.
    private static let period = Duration.milliseconds(20)

    private var known: UInt32?
    private var askedAt: Instant?

    /// Returns whether segments were retransmitted since the last query.
    ///
    /// - Parameter retransmitted: all segments of the carrier that were retransmitted; nil if that is not known.
    mutating func sees(_ retransmitted: @autoclosure () -> UInt32?, now: Instant) -> Bool {
        if let askedAt, now.since(askedAt) < Self.period { return false }
        askedAt = now
        let before = known
        known = retransmitted()
        guard let before, let known else { return false }
        return known != before
    }
}
