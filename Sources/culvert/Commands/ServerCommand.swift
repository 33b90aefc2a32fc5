import ArgumentParser
import Logging
import Synchronization
import Tunnel

/// `culvert server`: the public end.
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: """
            Accepts clients' WebSockets, opens public ports for them, and connects to the destinations that they may reach.
            """
    )

    @OptionGroup var options: ServerOptions

    func run() async throws {
        let logger = try StandardErrorLog.logger(options.log)
        let (reloads, continuation) = AsyncStream<ServerConfiguration>.makeStream()
        let environment = ProcessEnvironment.all
        let manager = ServiceManager(environment)
        let state = StateFolder.ofThisProcess
        var (configuration, unsealed) = try start(state)
        configuration.openSockets = SocketActivation.descriptors(environment)
        let metrics = AdminMetrics.bootstrap(configuration.admin)
        let command = self
        let watched = Mutex(tlsFiles)
        let read: @Sendable () throws -> ServerConfiguration = {
            let configuration = try command.configuration(state)
            watched.withLock { $0 = command.tlsFiles }
            return configuration
        }
        var server = Server(
            configuration,
            reloads: reloads,
            readConfiguration: {
                LogFile.reopen(logger)
                return try read()
            },
            metrics: metrics,
            logger: logger
        ) { event in
            switch event {
            case .listening(let url, _): Output.fact("listening \(url)")
            case .ready: manager.report(.ready)
            case .reloading: manager.report(.reloading)
            case .stopping: manager.report(.stopping)
            }
        }
        server.cluster = try configuration.cluster.map { cluster in
            try ClusterJoin.setup(cluster, limits: configuration.limits, logger: logger)
        }
        ProcessSetup.logMemory(configuration.serverLimits.memory, logger)
        manager.startWatchdog()
        ProcessSetup.warnOfRoot(logger)
        if let unsealed {
            logger.warning(
                "sessions are not sealed, because the server has no key",
                metadata: ["problem": "\(unsealed)"]
            )
        }
        let reload: @Sendable () -> Void = {
            do {
                continuation.yield(try read())
            } catch {
                AdminMetrics.reloadFailed()
                logger.error("not reloaded, and nothing has changed", metadata: ["problem": "\(Failure(error))"])
            }
        }
        let watching = Task { await FileWatch { watched.withLock { $0 } }.run(onChange: reload) }
        let trimming = Task { [memory = server.memoryUse] in await HeapTrimmer.run { memory.bytes } }
        defer {
            watching.cancel()
            trimming.cancel()
        }
        try await runUntilSignalled(server, logger: logger, reload: reload)
    }

    private var tlsFiles: [String] {
        ServerSettings(options, ConfigurationProblems(options.config)).tlsFiles
    }

    /// The configuration to start with.
    ///
    /// - Parameter state: the folder of the server's key; nil for none.
    /// - Throws: the first mistake.
    func configuration(_ state: StateFolder? = nil) throws(Failure) -> ServerConfiguration {
        try start(state).configuration
    }

    /// The configuration to start with, and why the server has no key although its sessions may be sealed.
    private func start(
        _ state: StateFolder?
    ) throws(Failure) -> (configuration: ServerConfiguration, unsealed: String?) {
        let problems = ConfigurationProblems(options.config)
        let settings = ServerSettings(options, problems)
        var result = settings.configuration()
        let unsealed = settings.readKey(&result, state)
        try problems.settle()
        return (result, unsealed)
    }

    /// Reads flags, environment and file for `culvert check`, as a start does; all mistakes go into `problems`.
    ///
    /// - Parameter state: the folder of the server's key; nil for none.
    func read(_ problems: ConfigurationProblems, _ state: StateFolder? = nil) -> ServerConfiguration {
        let settings = ServerSettings(options, problems)
        var result = settings.configuration()
        _ = settings.readKey(&result, state)
        return result
    }
}
