import CMalloc
import Dispatch
import NIOCore
import Synchronization

/// Gives memory back to the system when much less is in use than there was, and has been for a moment.
///
/// What a burst held lies between what lives on, where the C library keeps it for the next one: on each of thousands of
/// streams that idle, nearly as much as the stream itself.
package final class HeapTrimmer: Sendable {
    /// Calls a function when the time has passed, apart from the event loops.
    package typealias Later = @Sendable (_ time: Duration, @escaping @Sendable () -> Void) -> Void

    /// How far it must fall. 1 MiB: what one copy holds comes and goes, and must not be taken for an ebb.
    package static let fall = 1_048_576
    /// How long it must stay low.
    package static let rest = Duration.milliseconds(500)
    /// How much of the time may be spent on giving back, at most: the loops wait for the heap meanwhile. A fiftieth.
    package static let share = 50

    private struct Level {
        var now = 0
        /// The most since memory was given back last.
        var peak = 0
        /// The most since somebody began to wait for it to stay low; nil where nobody does.
        var sinceFall: Int?
        /// How long the next wait is.
        var rest = HeapTrimmer.rest

        /// How long to wait, where it is time to begin.
        mutating func wait() -> Duration? {
            guard sinceFall == nil, now <= peak - HeapTrimmer.fall else { return nil }
            sinceFall = now
            return rest
        }

        /// The wait is over; true where it has stayed low.
        mutating func hasStayedLow() -> Bool {
            guard let most = sinceFall else { return false }
            sinceFall = nil
            guard most <= peak - HeapTrimmer.fall else { return false }
            peak = most
            return true
        }
    }

    private let level = Mutex(Level())
    private let later: Later
    private let giveBack: @Sendable () -> Void

    package init(
        later: @escaping Later = HeapTrimmer.dispatch,
        giveBack: @escaping @Sendable () -> Void = { culvert_trim_malloc() }
    ) {
        self.later = later
        self.giveBack = giveBack
    }

    private static let dispatch: Later = { time, body in
        let wait = DispatchTimeInterval.nanoseconds(Int(clamping: TimeAmount(time).nanoseconds))
        DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + wait, execute: body)
    }

    /// What is in use has changed.
    ///
    /// - Parameter bytes: so many are in use now. Asked for in here, so that of two threads the later one's answer counts.
    package func moves(_ bytes: () -> Int) {
        let wait = level.withLock { level in
            level.now = bytes()
            level.peak = max(level.peak, level.now)
            level.sinceFall = level.sinceFall.map { max($0, level.now) }
            return level.wait()
        }
        if let wait { later(wait) { self.look() } }
    }

    private func look() {
        if level.withLock({ $0.hasStayedLow() }) {
            let time = ContinuousClock().measure(giveBack)
            level.withLock { $0.rest = max(Self.rest, time * Self.share) }
        }
        // It may have fallen meanwhile, and nothing more be told.
        if let wait = level.withLock({ $0.wait() }) { later(wait) { self.look() } }
    }
}
