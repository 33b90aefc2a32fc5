import CMalloc
import Dispatch
import Synchronization

/// Gives memory back to the system when much less is in use than there was, and has been for a moment.
///
/// What a burst held lies between what lives on, where the C library keeps it for the next one: on each of thousands of
/// streams that idle, more than the stream itself.
final class MemoryTide: Sendable {
    /// How far it must fall. 4 MiB: less is not worth the walk through the heap, and sixteen copies hold so much that
    /// comes and goes.
    static let fall = 1_048_576

    private struct Level {
        var now = 0
        /// The most since memory was given back last.
        var peak = 0
        /// The most since somebody began to wait for it to stay low; nil where nobody does.
        var sinceFall: Int?

        /// Whether to begin to wait.
        mutating func waits() -> Bool {
            guard sinceFall == nil, now <= peak - MemoryTide.fall else { return false }
            sinceFall = now
            return true
        }

        /// The wait is over; true where it has stayed low.
        mutating func hasStayedLow() -> Bool {
            guard let most = sinceFall else { return false }
            sinceFall = nil
            guard most <= peak - MemoryTide.fall else { return false }
            peak = most
            return true
        }
    }

    private let level = Mutex(Level())
    private let rest: DispatchTimeInterval
    private let giveBack: @Sendable () -> Void

    /// - Parameters:
    ///   - rest: how long it must stay low.
    ///   - giveBack: what gives memory back; it is called apart from the event loops.
    init(
        rest: DispatchTimeInterval = .milliseconds(500),
        giveBack: @escaping @Sendable () -> Void = { culvert_trim_malloc() }
    ) {
        self.rest = rest
        self.giveBack = giveBack
    }

    /// So many bytes are in use now.
    func stands(at bytes: Int) {
        let waits = level.withLock { level in
            level.now = bytes
            level.peak = max(level.peak, bytes)
            level.sinceFall = level.sinceFall.map { max($0, bytes) }
            return level.waits()
        }
        if waits { lookLater() }
    }

    private func lookLater() {
        DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + rest) { self.look() }
    }

    private func look() {
        let (isLow, waits) = level.withLock { ($0.hasStayedLow(), $0.waits()) }
        if isLow { giveBack() }
        // It may have fallen meanwhile, and nothing more be told.
        if waits { lookLater() }
    }
}
