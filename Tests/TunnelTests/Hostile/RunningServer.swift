import Logging
import Seal
import Synchronization
import TestSupport

@testable import TunnelCore
@testable import TunnelServer

/// A server in this process on a loopback port.
struct RunningServer: Sendable {
    let port: UInt16
    let log: CollectedLog

    /// Reloads the server with a changed configuration.
    let reload: @Sendable ((inout ServerConfiguration) -> Void) -> Void

    /// The number of live sessions, from the log.
    var sessions: Int { log.count("session opened") - log.count("session ended") }

    /// Runs a server that knows Alice and Bob during `body`.
    /// The key of all servers of the tests.
    static let serverKey = ServerKey()

    static func with(
        _ configure: (inout ServerConfiguration) -> Void = { _ in },
        _ body: @Sendable (RunningServer) async throws -> Void
    ) async throws {
        var configuration = ServerConfiguration()
        configuration.listen = [.tcp(host: "127.0.0.1", port: 0)]
        configuration.publicAddress = "127.0.0.1"
        configuration.clients = [Identity.alice, .bob].map { .init(name: $0.name, verifier: $0.credentials.verifier) }
        configuration.serverKey = serverKey
        configuration.drainTimeout = .seconds(1)
        // Sessions of peers that disconnect end soon.
        configuration.limits.grace = .seconds(1)
        // Many tests connect from the same address.
        configuration.serverLimits.connectionsPerSecond = 100_000
        configure(&configuration)
        let log = CollectedLog()
        let ports = Mailbox<UInt16>()
        let (reloads, continuation) = AsyncStream<ServerConfiguration>.makeStream()
        let server = Server(configuration, reloads: reloads, logger: log.logger) { event in
            if case .listening(_, let port?) = event { ports.put(UInt16(port)) }
        }
        let first = configuration
        let reload: @Sendable ((inout ServerConfiguration) -> Void) -> Void = { change in
            var next = first
            change(&next)
            continuation.yield(next)
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            defer { tasks.cancelAll() }
            do {
                try await body(RunningServer(port: ports.next("the server listens"), log: log, reload: reload))
            } catch {
                throw ScenarioFailure(description: "\(error)\n\(log.text)")
            }
        }
    }
}

/// The log of the product.
final class CollectedLog: Sendable {
    private let lines = Mutex<[String]>([])
    private let onLine: @Sendable (String) -> Void

    /// - Parameter onLine: called with each line, from any thread.
    init(onLine: @escaping @Sendable (String) -> Void = { _ in }) {
        self.onLine = onLine
    }

    private struct Handler: LogHandler {
        let log: CollectedLog
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.debug

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
            let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
            let line = "\(event.level) \(event.message)\(fields)"
            log.lines.withLock { $0.append(line) }
            log.onLine(line)
        }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
    }

    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    /// The number of lines that contain `words`.
    func count(_ words: String) -> Int { lines.withLock { $0.count { $0.contains(words) } } }

    /// The last 100 lines.
    var text: String { lines.withLock { $0.suffix(100).joined(separator: "\n") } }
}
