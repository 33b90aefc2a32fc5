import ArgumentParser
import Foundation
import Tunnel

/// `culvert client`: the end beside the services.
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Dials a server, through a proxy if there is one, and publishes local services there."
    )

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let logger = StandardErrorLog.logger(options.log)
        let configuration = try configuration()
        let metrics = AdminMetrics.bootstrap(configuration.admin)
        let (renewals, renewal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let client = Client(configuration, renewals: renewals, metrics: metrics, logger: logger) { event in
            switch event {
            case .tunnel(let url, let service): Output.fact("tunnel \(url) -> \(service)")
            }
        }
        // The client is ready as soon as it runs: the server may be away, and units that depend on us must not wait.
        let manager = ServiceManager(ProcessInfo.processInfo.environment)
        ProcessSetup.logMemory(configuration.clientLimits.memory, logger)
        manager.startWatchdog()
        ProcessSetup.warnOfRoot(logger)
        let trimming = Task { [memory = client.memoryUse] in await HeapTrimmer.run { memory.bytes } }
        defer { trimming.cancel() }
        try await runUntilSignalled(client, logger: logger) {
            manager.report(.ready)
        } reload: {
            logger.notice("SIGHUP: dialling another carrier; the configuration is read at the start only")
            renewal.yield()
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
