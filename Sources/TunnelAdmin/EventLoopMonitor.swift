import Metrics
import Mux
import NIOCore
import Synchronization

/// Monitors event loops by a task on each of them, which runs once a second and records how late it is.
package final class EventLoopMonitor: Sendable {
    private static let period = Duration.seconds(1)
    /// Time without an iteration after which a loop counts as stuck. No work on a loop takes a tenth of it.
    package static let timeout = Duration.seconds(5)

    private static let lag = Timer(label: "culvert_event_loop_lag_seconds")

    /// The time at which each loop's task last ran.
    private let beats: Mutex<[Instant]>
    private let isStopped = Atomic(false)

    /// - Parameter now: the time from which the first second of each loop counts.
    package init(loops: [any EventLoop], now: Instant) {
        beats = Mutex(loops.map { _ in now })
        // Made now, so that the metric is there before the first second.
        _ = Self.lag
        for (index, loop) in loops.enumerated() { schedule(loop, index, due: now + Self.period) }
    }

    /// Stops the tasks.
    package func stop() { isStopped.store(true, ordering: .relaxed) }

    /// The loop that is stuck, in words; nil if none is.
    package func problem(now: Instant) -> String? {
        let silences = beats.withLock { beats in beats.map { now.since($0) } }
        guard let worst = silences.indices.max(by: { silences[$0] < silences[$1] }),
            silences[worst] > Self.timeout
        else { return nil }
        return "event loop \(worst) has not turned for \(silences[worst].inShort)"
    }

    /// Notes that the task of a loop has run.
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
