import Mux
import NIOCore

/// The datagrams of a flow that wait for the destination's socket. They are bounded by number, bytes and age, and the oldest
/// are dropped.
///
/// Pure: the caller passes the time.
struct WaitingDatagrams {
    /// Datagrams that wait.
    static let maximum = 16
    /// Bytes that wait: one large datagram, or those that a program sends before the first answer.
    static let maximumBytes = 65_536
    /// The age at which a datagram is of no use any more, as in the session's own queues.
    static let oldest = Duration.milliseconds(250)

    private var queue = CircularBuffer<(datagram: ByteBuffer, since: Instant)>()
    private var bytes = 0

    /// Adds a datagram.
    ///
    /// - Returns: how many were dropped for it.
    mutating func append(_ datagram: ByteBuffer, now: Instant) -> Int {
        queue.append((datagram, now))
        bytes += datagram.readableBytes
        var dropped = 0
        while queue.count > Self.maximum || bytes > Self.maximumBytes, let first = queue.popFirst() {
            bytes -= first.datagram.readableBytes
            dropped += 1
        }
        return dropped
    }

    /// Removes all, and returns those that are not too old.
    mutating func takeYoung(now: Instant) -> (datagrams: [ByteBuffer], dropped: Int) {
        let young = queue.filter { now.since($0.since) <= Self.oldest }.map(\.datagram)
        defer { self = WaitingDatagrams() }
        return (young, queue.count - young.count)
    }
}
