import ArgumentParser
import Logging
import Tunnel

/// `culvert doctor`: finds out what is wrong between a client and its server.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Checks each hop from here to a session, the services, and the path; disturbs no running client.",
        discussion: """
            It takes the client's flags or configuration, dials as the client would, and prints a line for each hop: ok, \
            warn or fail, the fact, and a remedy. The exit code is that of the first failed hop; a warning changes nothing.
            """
    )

    @OptionGroup var options: ClientOptions

    @Option(help: "Find out how long the path keeps an idle WebSocket, up to this time, for instance 10m.")
    var idle: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        try options.validateURL()
        _ = try idleTime()
    }

    private func idleTime() throws(ValidationError) -> Duration? {
        guard let idle else { return nil }
        guard let time = Duration(words: idle), (.seconds(1) ... .seconds(3_600)).contains(time) else {
            throw ValidationError("--idle \(idle): expected a time up to 1h, such as 10m")
        }
        return time
    }

    func run() async throws {
        let report = DoctorReport(json: json)
        let configuration = read(report)
        if let configuration {
            // The lines of the report say what the log would say.
            var logger = try StandardErrorLog.logger(options.log)
            if options.log.logLevel >= .info { logger.logLevel = .critical }
            let diagnosis = Diagnosis(configuration, idle: try idleTime(), logger: logger)
            await diagnosis.run {
                report.progress($0, of: $1)
            } onCheck: {
                report.add($0)
            }
        }
        report.finish()
        if let status = report.status { throw Failure(reported: status) }
    }

    /// The configuration; nil if it has a mistake, which the report has then.
    private func read(_ report: DoctorReport) -> ClientConfiguration? {
        let problems = ConfigurationProblems(options.config, isTrial: true)
        let settings = ClientSettings(options, problems, needsForwards: false)
        let configuration = settings.configuration()
        let place = options.config ?? "the flags"
        if let status = problems.status {
            let first = problems.firstLine ?? "a mistake"
            let remedy =
                options.config.map { "culvert check --config \($0) lists all mistakes" }
                ?? "correct the flag, and run the doctor again"
            report.add(.failed("configuration", .configuration, first, remedy: remedy), status)
            return nil
        }
        let token = configuration.token == nil ? "no token" : "a token"
        report.add(DiagnosisCheck("configuration", .ok, "\(place): in order, with \(token)"))
        report.add(DiagnosisCheck("proxy choice", .ok, settings.proxyReason(configuration.endpoints)))
        return configuration
    }
}
