import Synchronization
import TunnelAdmin
import TunnelCore

/// The waits between a client's dials, which its operator may end.
final class DialWaits: Sendable {
    private struct State {
        var waiting: Task<Bool, Never>?
        /// The end was asked for while a dial was running: the wait after it is left out.
        var isEnded = false
    }

    private let state = Mutex(State())

    /// A dial begins: it is what an earlier wish asked for.
    func dialling() {
        state.withLock { $0.isEnded = false }
    }

    /// Waits, unless ``end()`` is called meanwhile or the task is cancelled.
    ///
    /// - Returns: whether the operator has ended the wait.
    @discardableResult
    func sleep(for time: Duration) async -> Bool {
        let task: Task<Bool, Never>? = state.withLock { state in
            guard !state.isEnded else {
                state.isEnded = false
                return nil
            }
            let task = Task {
                do {
                    try await Task.sleep(for: time)
                    return false
                } catch {
                    return true
                }
            }
            state.waiting = task
            return task
        }
        guard let task else { return true }
        let isEnded = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        state.withLock { $0.waiting = nil }
        return isEnded && !Task.isCancelled
    }

    /// Ends the wait that is on, or the one that follows the dial that is running.
    func end() {
        state.withLock { state in
            if let waiting = state.waiting { waiting.cancel() } else { state.isEnded = true }
        }
    }
}
