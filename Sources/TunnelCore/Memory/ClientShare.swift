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
    /// New flows to destinations; nil before the first.
    private let flows = Mutex<Rate?>(nil)

    package init() {}

    /// Takes a new stream to a destination. Half a second's streams may come at once.
    ///
    /// - Parameter perSecond: the limit as it is now. Another one than before begins with a full burst.
    /// - Returns: false if the client opens them too fast.
    package func takeForward(perSecond: Int, now: Instant) -> Bool {
        forwards.withLock { Self.take(&$0, perSecond, now) }
    }

    /// Takes a new UDP flow to a destination, by the same rules as a stream.
    package func takeFlow(perSecond: Int, now: Instant) -> Bool {
        flows.withLock { Self.take(&$0, perSecond, now) }
    }

    private static func take(_ rate: inout Rate?, _ perSecond: Int, _ now: Instant) -> Bool {
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
