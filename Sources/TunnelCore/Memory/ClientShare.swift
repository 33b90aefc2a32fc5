import Mux
import Synchronization

/// What one client has, over all its sessions.
package final class ClientShare: Sendable {
    private struct Rate {
        let perSecond: Int
        var bucket: TokenBucket
    }

    /// Bytes, as the budget counts them.
    package let memory = Atomic(0)
    /// Sockets of visitors, and of destinations that it has named.
    package let connections = Atomic(0)
    /// New streams to destinations; nil before the first.
    private let forwards = Mutex<Rate?>(nil)

    package init() {}

    /// Takes a new stream to a destination. Half a second's streams may come at once.
    ///
    /// - Parameter perSecond: the limit as it is now. Another one than before begins with a full burst.
    /// - Returns: false if the client opens them too fast.
    package func takeForward(perSecond: Int, now: Instant) -> Bool {
        forwards.withLock { rate in
            var current =
                rate.flatMap { $0.perSecond == perSecond ? $0 : nil }
                ?? Rate(
                    perSecond: perSecond,
                    bucket: TokenBucket(perSecond: Double(perSecond), burst: Double(perSecond) / 2, now: now)
                )
            defer { rate = current }
            return current.bucket.takeOne(now: now)
        }
    }
}
