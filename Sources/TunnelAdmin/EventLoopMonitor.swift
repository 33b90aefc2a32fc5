import Metrics
import Mux
import NIOCore
import Synchronization

/// Sees that event loops turn: once a second a task on each of them says so, and how late it was.
package final class EventLoopMonitor: Sendable {
    private static let period = Duration.seconds(1)
    /// A loop that has not turned for so long is stuck: nothing that a loop does takes a tenth of it.
    package static let patience = Duration.seconds(5)

    private static let lag = Timer(label: "culvert_event_loop_lag_seconds")

    private let beats: Mutex<[Instant]>
    private let isStopped = Atomic(false)

    /// - Parameter now: when all loops count as alive, before their first second.
    package init(loops: [any EventLoop], now: Instant) {
        beats = Mutex(loops.map { _ in now })
        for (index, loop) in loops.enumerated() { schedule(loop, index, due: now + Self.period) }
    }

    /// No further beats.
    package func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Which loop is stuck, in words; nil where none is.
    package func problem(now: Instant) -> String? {
        let silences = beats.withLock { beats in beats.map { now.since($0) } }
        guard let worst = silences.indices.max(by: { silences[$0] < silences[$1] }),
            silences[worst] > Self.patience
        else { return nil }
        return "event loop \(worst) has not turned for \(silences[worst].inShort)"
    }

    /// A beat, as the loop's task makes it.
    package func beat(_ index: Int, now: Instant) {
        beats.withLock { $0[index] = now }
    }

    private func schedule(_ loop: any EventLoop, _ index: Int, due: Instant) {
        loop.scheduleTask(deadline: .uptimeNanoseconds(due.nanoseconds)) { [self] in
            guard !isStopped.load(ordering: .relaxed) else { return }
            let now = Instant.now
            Self.lag.record(duration: now.since(due))
            beat(index, now: now)
            schedule(loop, index, due: now + Self.period)
        }
    }
}
