/// Decides what is flushed before the event loop's iteration ends, so that the other end can work on it meanwhile.
/// Everything else shares one flush at the end of the iteration.
///
/// Pure: it is told what has come and what was flushed.
package struct FlushPolicy {
    /// Chunks from sockets after which the carrier is flushed.
    private static let chunks = 16
    /// Flushes of the carrier in one iteration for interactive bytes beside bulk data. Beyond four they share one.
    private static let interactiveFlushes = 4
    /// Sockets with unflushed bytes after which they are flushed before the carrier is read to its end.
    private static let sockets = 8
    /// Such flushes in one read of the carrier: single bytes on eight streams must not cost a system call each.
    private static let socketFlushes = 32

    private var chunksSinceFlush = 0
    private var interactiveFlushesInIteration = 0
    private var socketFlushesInRead = 0

    package init() {}

    /// Whether bytes have come since the carrier was flushed.
    package var hasBytes: Bool { chunksSinceFlush > 0 }

    /// A socket has brought bytes.
    ///
    /// - Returns: whether the carrier is to be flushed at once.
    package mutating func bytesCame(isInteractive: Bool, besideBulk: @autoclosure () -> Bool) -> Bool {
        chunksSinceFlush += 1
        if chunksSinceFlush >= Self.chunks { return true }
        guard isInteractive, interactiveFlushesInIteration < Self.interactiveFlushes, besideBulk() else { return false }
        interactiveFlushesInIteration += 1
        return true
    }

    /// The carrier was flushed.
    package mutating func sent() {
        chunksSinceFlush = 0
    }

    /// The iteration of the event loop is over.
    package mutating func iterationEnded() {
        interactiveFlushesInIteration = 0
    }

    /// Whether so many sockets are to be flushed at once.
    ///
    /// - Parameter connectsNext: a service is about to be connected to, which takes longer than to flush a few sockets.
    package mutating func flushesSockets(_ count: Int, connectsNext: Bool = false) -> Bool {
        guard count >= (connectsNext ? 1 : Self.sockets), socketFlushesInRead < Self.socketFlushes else { return false }
        socketFlushesInRead += 1
        return true
    }

    /// The carrier was read to its end.
    package mutating func carrierReadCompleted() {
        socketFlushesInRead = 0
    }
}
