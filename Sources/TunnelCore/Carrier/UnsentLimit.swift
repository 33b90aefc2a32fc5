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
    /// Largest limit beside interactive streams, and for bulk alone. 256 KiB: what a
    /// carrier takes if its kernel has no limit. 1 MiB: what the congestion window grants bulk streams beyond the path.
    package static let most = (interactive: 262_144, bulk: 1_048_576)
    /// Seconds of the path's rate. 8 ms: an event loop that is busy gives the kernel more in that time.
    private static let span = 0.008
    /// Bytes in flight, and bytes per second, from which bulk alone gets the largest limit. 512 KiB: a kernel with megabytes
    /// in flight reports room late, and BBR then considers the sender application-limited. 4 MB/s: the bytes leave within
    /// 250 ms.
    static let long = (product: 524_288.0, rate: 4_000_000.0)
    /// Bytes per second from which the kernel needs no limit: its usual megabytes leave within 20 ms.
    private static let fast = 64_000_000.0

    /// Returns the limit for a path, a power of two so that it changes rarely; nil if the kernel's own limit is right.
    ///
    /// - Parameters:
    ///   - path: what is known of the path.
    ///   - hasFlows: whether datagrams may wait.
    package static func bytes(_ path: PathFigures, hasFlows: Bool) -> Int? {
        if hasFlows { return least }
        guard path.rate > 0 else { return first }
        guard path.rate < fast else { return nil }
        if !path.isShared, path.product >= long.product, path.rate >= long.rate { return most.bulk }
        var limit = least
        while limit < most.interactive, Double(limit) < path.rate * span { limit *= 2 }
        return limit
    }
}
