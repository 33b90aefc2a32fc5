import Logging
import Platform
import ServiceLifecycle
import UnixSignals

/// Waits for the first SIGTERM or SIGINT.
func firstSignal() async {
    for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { return }
}

/// Runs a role until it ends. SIGTERM or SIGINT drains it, and a second one ends the process at once.
///
/// - Parameters:
///   - endsAtHangUp: whether SIGHUP drains the role too, and does not reload.
///   - onStarted: called once signals are caught.
///   - reload: called at SIGHUP.
///   - onStopping: called at the first SIGTERM or SIGINT.
func runUntilSignalled(
    _ service: some Service,
    logger: Logger,
    endsAtHangUp: Bool = false,
    onStarted: @Sendable () -> Void = {},
    reload: @escaping @Sendable () -> Void,
    onStopping: @escaping @Sendable () -> Void = {}
) async throws {
    var quiet = logger
    quiet.logLevel = .critical
    let group = ServiceGroup(
        configuration: .init(
            services: [
                .init(
                    service: service,
                    successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .cancelGroup
                )
            ],
            logger: quiet
        )
    )
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
    onStarted()
    let watching = Task {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup, !endsAtHangUp {
                LogFile.reopen(logger)
                reload()
                continue
            }
            if isStopping { exit(0) }
            isStopping = true
            onStopping()
            logger.notice(
                "stopping once running streams have ended; a second signal stops at once",
                metadata: ["signal": "\(signal)"]
            )
            await group.triggerGracefulShutdown()
        }
    }
    defer { watching.cancel() }
    do {
        try await group.run()
    } catch {
        throw Failure(error)
    }
}
