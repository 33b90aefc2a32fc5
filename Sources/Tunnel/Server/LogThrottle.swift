import Mux
import Synchronization

/// Lets some events of a kind into the log and counts the others: strangers must not be able to fill a disk.
final class LogThrottle: Sendable {
    /// Events in each ten seconds that are logged.
    static let limit = 20

    private struct State {
        var began = Moment(nanoseconds: 0)
        var count = 0
    }

    private let state = Mutex(State())

    /// Whether the event may be logged, and how many before it were not.
    func admit(now: Moment) -> (isLogged: Bool, suppressed: Int) {
        state.withLock { state in
            var suppressed = 0
            if now.since(state.began) >= .seconds(10) {
                suppressed = max(0, state.count - Self.limit)
                state = State(began: now, count: 0)
            }
            state.count += 1
            return (state.count <= Self.limit, suppressed)
        }
    }
}
