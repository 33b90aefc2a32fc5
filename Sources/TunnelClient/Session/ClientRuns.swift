import Logging
import Mux
import NIOCore
import Synchronization
import TunnelCore

/// What dials for one of the sessions that a client has at a time.
struct SessionRun: Sendable {
    let dialler: Dialler
    let current: CurrentSession

    /// 0 for the first session.
    var number: Int { dialler.part?.number ?? 0 }
}

/// The runs of a client: one for each server at which it keeps a session. Each has its own back-off.
///
/// ```
///  first run ──── begin ──▶ serve ──▶ ... ends the client if it is refused, and no other run goes on
///                   │ a session has begun
///                   ▼
///  further runs ── begin ──▶ serve ──▶ ... wait and begin again if they are refused
/// ```
extension Client {
    /// The sessions that the client keeps at a time. The stream of a socket needs one.
    private var sessionCount: Int {
        let counts = ClientConfiguration.serverCounts
        return configuration.socketForward == nil
            ? min(max(configuration.servers, counts.lowerBound), counts.upperBound) : 1
    }

    /// One run for each session, in the order of their numbers.
    func makeRuns(
        _ loop: any EventLoop,
        _ context: DialContext,
        _ totals: TrafficTotals,
        _ listeners: NIOLoopBound<ForwardListeners>
    ) -> [SessionRun] {
        let credentials = credentials ?? ClientCredentials(configuration.token)
        let memory = MemoryBudget(capacity: configuration.clientLimits.memory, use: memoryUse)
        let openRules = OpenRules(configuration.openDestinations, admin: configuration.admin.all)
        let count = sessionCount
        let spread = count > 1 ? SessionSpread(on: loop) : nil
        let group = SessionPart.ownGroup(credentials.present, instance: configuration.instance)
        return (0..<count).map { number in
            var configuration = configuration
            configuration.instance = ClientInstance.session(number, of: configuration.instance)
            // The first session decides whether a tunnel can be public at all.
            if number > 0 { configuration.exitsOnForwardFailure = false }
            let dialler = Dialler(
                configuration: configuration,
                credentials: credentials,
                loop: loop,
                context: number > 0 ? context.forSession(number) : context,
                totals: totals,
                memory: memory,
                progress: ClientProgress(tunnels: tunnels.entries.map(\.spec.description)),
                tunnels: tunnels,
                listeners: listeners,
                openRules: openRules,
                part: spread.map { SessionPart(number: number, spread: $0, group: group) }
            )
            return SessionRun(dialler: dialler, current: CurrentSession(waits: DialWaits()))
        }
    }

    /// Reports tunnels that only one of several sessions has at a time, since no group can share them.
    func noteUnshared(_ tunnels: [TunnelSpec]) {
        let unshared = tunnels.filter { !$0.isShareable }
        guard sessionCount > 1, !unshared.isEmpty else { return }
        logger.notice(
            "tunnels at one server only: UDP, a port that the server chooses and a Unix socket cannot be shared",
            metadata: ["tunnels": "\(unshared.map(\.description).joined(separator: ", "))"]
        )
    }

    /// Keeps all sessions until the client stops.
    ///
    /// - Throws: ``ClientError`` if the client is refused for good, or gives up.
    func keepSessions(_ runs: [SessionRun], _ metrics: ClientMetrics) async throws {
        guard runs.count > 1 else {
            for run in runs {
                var loop = reconnectLoop(of: run, metrics)
                try await keepSession(of: run, &loop)
            }
            return
        }
        noteUnshared(tunnels.all)
        let working = WorkingRuns()
        let gates = runs.dropFirst().map { (run: $0, gate: AsyncStream.makeStream(of: Void.self)) }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try await keep(runs[0], metrics, working) { for (_, gate) in gates { gate.continuation.finish() } }
            }
            for (run, gate) in gates {
                tasks.addTask {
                    // A first session shows that the server can be reached, and accepts the token.
                    for await _ in gate.stream {}
                    guard !Task.isCancelled, !run.current.isStopping else { return }
                    working.begins(run.number)
                    try await keep(run, metrics, working)
                }
            }
            while try await tasks.next() != nil {}
        }
    }

    /// Keeps one of several sessions. If it is refused for good while others go on, it is tried again slowly.
    private func keep(
        _ run: SessionRun,
        _ metrics: ClientMetrics,
        _ working: WorkingRuns,
        onSession: @escaping @Sendable () -> Void = {}
    ) async throws {
        var loop = reconnectLoop(of: run, metrics)
        var backoff = Backoff()
        while true {
            do {
                return try await keepSession(of: run, &loop, onSession: onSession)
            } catch let error as ClientError {
                guard !endsAll(error), !run.current.isStopping, working.fails(run.number) else { throw error }
                let wait = backoff.refused(unit: .random(in: 0...1), now: .now)
                run.dialler.logger.warning(
                    "no session with one of several servers; the others go on, and it is tried again",
                    metadata: ["reason": "\(error)", "in": .time(wait)]
                )
                // Proxies that have refused a password are not asked again, unless the operator wants it.
                if await run.current.waits.sleep(for: wait) { loop = reconnectLoop(of: run, metrics) }
                guard !Task.isCancelled, !run.current.isStopping else { return }
                working.begins(run.number)
            }
        }
    }

    /// Whether an error of one run ends the others too.
    private func endsAll(_ error: ClientError) -> Bool {
        switch error {
        case .configuration: true
        case .refused, .notOurs: configuration.exitsOnRefusal
        case .unreachable: false
        }
    }

    private func reconnectLoop(of run: SessionRun, _ metrics: ClientMetrics) -> ReconnectLoop<Dialler> {
        let part = run.dialler.part
        return ReconnectLoop(
            dialler: run.dialler,
            configuration: run.dialler.configuration,
            waits: run.current.waits,
            progress: run.dialler.progress,
            metrics: metrics,
            avoided: { part.map { $0.spread.endpoints(besides: $0.number) } ?? [] },
            logger: run.dialler.logger,
            onEvent: onEvent
        )
    }

    private func keepSession(
        of run: SessionRun,
        _ loop: inout ReconnectLoop<Dialler>,
        onSession: @escaping @Sendable () -> Void = {}
    ) async throws {
        do {
            try await loop.run { session in
                if session != nil { onSession() }
                return run.current.hold(session)
            }
        } catch {
            for session in run.current.all { session.end() }
            throw error
        }
    }
}

/// The runs of a client that dial or have a session, and do not wait because they were refused.
private final class WorkingRuns: Sendable {
    private let numbers = Mutex<Set<Int>>([0])

    /// Records that a run begins, for the first time or after a wait.
    func begins(_ number: Int) {
        _ = numbers.withLock { $0.insert(number) }
    }

    /// Records that a run was refused.
    ///
    /// - Returns: whether another one goes on.
    func fails(_ number: Int) -> Bool {
        numbers.withLock { numbers in
            numbers.remove(number)
            return !numbers.isEmpty
        }
    }
}
