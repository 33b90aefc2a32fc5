import Synchronization

/// The outcome of a reload: the answer to `POST /reload`.
public struct ReloadResult: Codable, Sendable, Hashable {
    /// What has changed, a line each; empty if nothing has.
    public var changes: [String]
    /// What takes effect only with a restart, a line each.
    public var restart: [String]
    /// Why nothing was applied; nil if the configuration is in use.
    public var problem: String?

    /// An outcome.
    public init(changes: [String] = [], restart: [String] = [], problem: String? = nil) {
        self.changes = changes
        self.restart = restart
        self.problem = problem
    }
}

/// Configurations that are applied one after the other: those of a signal, and those of an operator who waits for the
/// outcome.
package final class ReloadQueue<Configuration: Sendable>: Sendable {
    private typealias Request = (configuration: Configuration, answer: @Sendable (ReloadResult) -> Void)

    private let requests: AsyncStream<Request>
    private let continuation: AsyncStream<Request>.Continuation
    private let read: (@Sendable () throws -> Configuration)?

    /// - Parameter read: reads the configuration again, for an operator; nil if the program has none to read.
    package init(read: (@Sendable () throws -> Configuration)?) {
        self.read = read
        (requests, continuation) = AsyncStream.makeStream()
    }

    /// Reads the configuration again, and returns once it is applied, or refused.
    ///
    /// - Parameter describe: puts the error of reading into words.
    /// - Returns: nil if there is none to read.
    package func reload(_ describe: (any Error) -> String) async -> ReloadResult? {
        guard let read else { return nil }
        let configuration: Configuration
        do {
            configuration = try read()
        } catch {
            return ReloadResult(problem: describe(error))
        }
        return await withCheckedContinuation { waiting in
            let result = continuation.yield((configuration, { waiting.resume(returning: $0) }))
            if case .terminated = result { waiting.resume(returning: Self.stopping) }
        }
    }

    /// Applies configurations until the task is cancelled.
    ///
    /// - Parameter signals: configurations whose outcome has no reader.
    package func run(
        _ signals: AsyncStream<Configuration>,
        _ apply: @escaping @Sendable (Configuration) async -> ReloadResult
    ) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [continuation] in
                for await configuration in signals { continuation.yield((configuration, { _ in })) }
            }
            for await request in requests { request.answer(await apply(request.configuration)) }
            tasks.cancelAll()
        }
        continuation.finish()
    }

    /// Answers what was not applied.
    package func stop() async {
        continuation.finish()
        for await request in requests { request.answer(Self.stopping) }
    }

    private static var stopping: ReloadResult { ReloadResult(problem: "it is stopping") }
}
