import Synchronization

/// The waits between a client's dials, which its operator may end.
final class DialWaits: Sendable {
    private struct State {
        var waiting: Task<Bool, Never>?
        /// The operator ended the wait after the dial that is running.
        var isEnded = false
    }

    private let state = Mutex(State())
    private let wait: @Sendable (Duration) async throws -> Void

    /// - Parameter wait: waits, and throws if its task is cancelled.
    init(wait: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }) {
        self.wait = wait
    }

    /// Records that a dial begins, for which the operator may have asked.
    func dialling() {
        state.withLock { $0.isEnded = false }
    }

    /// Waits until the time has passed, ``end()`` is called or the task is cancelled.
    ///
    /// - Returns: whether the operator has ended the wait.
    @discardableResult
    func sleep(for time: Duration) async -> Bool {
        let task: Task<Bool, Never>? = state.withLock { state in
            guard !state.isEnded else {
                state.isEnded = false
                return nil
            }
            let task = Task { [wait] in
                do {
                    try await wait(time)
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

    /// Ends the present wait, or the one after the dial that is running.
    func end() {
        state.withLock { state in
            if let waiting = state.waiting { waiting.cancel() } else { state.isEnded = true }
        }
    }
}
