import Dispatch
import Foundation

/// Ends a run at SIGINT, SIGTERM or SIGHUP, together with the processes that it has started.
enum Interruption {
    /// Runs a task that these signals cancel.
    static func cancelling<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task { try await work() }
        let sources = [SIGINT, SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                task.cancel()
                killDescendants()
            }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        return try await task.value
    }

    /// Kills the processes of this run and their children, because a killed daemon leaves its workers.
    private static func killDescendants() {
        let own = getpid()
        for pid in ProcessUsage.withDescendants([own]) where pid != own { kill(pid, SIGKILL) }
    }
}
