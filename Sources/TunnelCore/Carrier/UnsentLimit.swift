import Mux

/// Decides how many unsent bytes may wait below a session, in the kernel and above it.
///
/// Bytes below the session keep their order: a request waits behind all of them. By default the kernel takes megabytes.
/// If the path has become slower, they take seconds to leave. So a slow path gets a low limit.
package enum UnsentLimit {
    /// Bytes while the session has flows, since a datagram that waits there is not dropped when it is old. 16 KiB: 13 ms at
    /// 10 Mbit/s.
    package static let least = 16_384
    /// Bytes while nothing is known of the path. 64 KiB: as many as a TCP connection sends in its first round trips.
    package static let first = 65_536
    /// Largest limit beside interactive streams, and for bulk alone. 256 KiB: what a carrier above a kernel without a
    /// limit takes. 1 MiB: what the congestion window grants bulk streams beyond the path.
    package static let most = (interactive: 262_144, bulk: 1_048_576)
    /// Seconds of the path's rate. 8 ms: an event loop that is busy gives the kernel more in that time. 80 ms: a kernel that
    /// holds megabytes in flight reports room late, and BBR takes the gap for the sender's own rate.
    private static let span = (interactive: 0.008, bulk: 0.08)
    /// Bytes per second from which the kernel needs no limit: its usual megabytes leave within 20 ms.
    private static let fast = 64_000_000.0

    /// Returns the limit for a path, a power of two so that it changes rarely; nil if the kernel's own limit is right.
    ///
    /// - Parameters:
    ///   - rate: bytes per second that the path delivers; 0 if nothing is known.
    ///   - hasFlows: whether datagrams may wait.
    ///   - isShared: whether interactive bytes leave over the same carrier.
    package static func bytes(rate: Double, hasFlows: Bool, isShared: Bool) -> Int? {
        if hasFlows { return least }
        guard rate > 0 else { return first }
        guard rate < fast else { return nil }
        let (most, span) = isShared ? (most.interactive, span.interactive) : (most.bulk, span.bulk)
        var limit = least
        while limit < most, Double(limit) < rate * span { limit *= 2 }
        return limit
    }
}
