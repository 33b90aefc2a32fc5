import ArgumentParser
import Tunnel

/// `culvert client`: the end beside the services.
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: """
            Dials a server, through a proxy if there is one; publishes local services there, and reaches what the server \
            can reach.
            """
    )

    @OptionGroup var options: ClientOptions

    func validate() throws {
        try options.validateURL()
        try options.validateForwards()
    }

    func run() async throws {
        let logger = try StandardErrorLog.logger(options.log)
        var configuration = try configuration()
        let streams = try options.stdioDestination().map { destination in
            let streams = try StandardStreams.start()
            configuration.socketForward = SocketForward(descriptor: streams.descriptor, to: destination)
            return streams
        }
        let metrics = AdminMetrics.bootstrap(configuration.admin)
        let (reloads, reloading) = AsyncStream.makeStream(of: ClientConfiguration.self)
        let client = Client(
            configuration,
            reloads: reloads,
            readConfiguration: {
                LogFile.reopen(logger)
                return try self.configuration()
            },
            metrics: metrics,
            logger: logger
        ) { event in
            // With -W, standard output is the stream's.
            guard streams == nil else { return }
            switch event {
            case .tunnel(let url, let service): Output.fact("tunnel \(url) -> \(service)")
            case .forward(let address, ""): Output.fact("forward \(address)")
            case .forward(let address, let service): Output.fact("forward \(address) -> \(service)")
            }
        }
        // The client is ready as soon as it runs: the server may be away, and units that depend on us must not wait.
        let manager = ServiceManager(ProcessEnvironment.all)
        ProcessSetup.logMemory(configuration.clientLimits.memory, logger)
        manager.startWatchdog()
        ProcessSetup.warnOfRoot(logger)
        let trimming = Task { [memory = client.memoryUse] in await HeapTrimmer.run { memory.bytes } }
        defer { trimming.cancel() }
        // What has arrived still goes to standard output.
        defer { streams?.finish() }
        // ssh sends SIGHUP to its ProxyCommand, and does not wait for its end.
        try await runUntilSignalled(client, logger: logger, endsAtHangUp: streams != nil) {
            manager.report(.ready)
        } reload: {
            manager.report(.reloading)
            do {
                reloading.yield(try self.configuration())
            } catch {
                AdminMetrics.reloadFailed()
                logger.error("not reloaded, and nothing has changed", metadata: ["problem": "\(Failure(error))"])
            }
            manager.report(.ready)
        } onStopping: {
            manager.report(.stopping)
        }
    }

    /// The configuration to start with.
    ///
    /// - Throws: the first mistake.
    func configuration() throws(Failure) -> ClientConfiguration {
        let problems = ConfigurationProblems(options.config)
        let result = read(problems)
        try problems.settle()
        return result
    }

    /// Reads flags, environment and file, for a start and for `culvert check` alike; all mistakes go into `problems`.
    func read(_ problems: ConfigurationProblems) -> ClientConfiguration {
        ClientSettings(options, problems).configuration()
    }
}
