import Dispatch
import Foundation

/// SIGINT, SIGTERM and SIGHUP end a run in order: what it has started ends first.
enum Interruption {
    /// Runs work that such a signal cancels.
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

    /// Those that we have started, and those that they have: a daemon that is killed leaves its workers behind.
    private static func killDescendants() {
        let own = getpid()
        for pid in ProcessUsage.withDescendants([own]) where pid != own { kill(pid, SIGKILL) }
    }
}
