import Logging
import Mux
import Synchronization

/// Lets some events of a kind into the log and counts the others: strangers must not be able to fill a disk.
package final class LogThrottle: Sendable {
    /// The time over which events are counted.
    package static let period = Duration.seconds(10)

    private struct State {
        /// Events in each ten seconds that are logged.
        var limit: Int
        var began = Instant(nanoseconds: 0)
        var count = 0
    }

    private let state: Mutex<State>

    /// - Parameter lines: events in each ten seconds that are logged.
    package init(lines: Int) {
        state = Mutex(State(limit: lines))
    }

    /// Lets another number of events in from now on.
    package func update(lines: Int) {
        state.withLock { $0.limit = lines }
    }

    /// Logs the event, unless too many of its kind came before it.
    package func log(
        _ message: Logger.Message,
        at level: Logger.Level,
        to logger: Logger,
        _ metadata: Logger.Metadata = [:]
    ) {
        let (isLogged, suppressed) = admit(now: .now)
        guard isLogged else { return }
        var metadata = metadata
        if suppressed > 0 { metadata["not_logged_before"] = .number(suppressed) }
        logger.log(level: level, message, metadata: metadata)
    }

    /// Whether the event may be logged, and how many before it were not.
    package func admit(now: Instant) -> (isLogged: Bool, suppressed: Int) {
        state.withLock { state in
            var suppressed = 0
            if now.since(state.began) >= Self.period {
                suppressed = max(0, state.count - state.limit)
                state.began = now
                state.count = 0
            }
            state.count += 1
            return (state.count <= state.limit, suppressed)
        }
    }
}
