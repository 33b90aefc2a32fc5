import ArgumentParser
import Logging
import Platform
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

    @Option(
        help: """
            Write a report for a maintainer to this file: versions, these checks, status and metrics of what runs here, and \
            the end of the log, without secrets. It is shown first.
            """
    )
    var report: String?

    @Flag(help: "Check what a server with the configuration of --config needs from this machine.")
    var server = false

    func validate() throws {
        if !server { try options.validateURL() }
        if server, !options.url.isEmpty { throw ValidationError("--server takes no URL") }
        if server, idle != nil {
            throw ValidationError("--idle is about a path to a server, and --server about this machine")
        }
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
        if let file = report, !TextFile.isMissing(file) {
            throw Failure(.configuration, "\(file) exists, and is not overwritten; choose another name, or remove it")
        }
        let report = DoctorReport(json: json)
        let configuration: ClientConfiguration?
        if server {
            configuration = nil
            try await checkServer(report)
        } else {
            configuration = read(report)
        }
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
        if let file = self.report { try await write(report.checks, configuration, to: file) }
        if let status = report.status { throw Failure(reported: status) }
    }

    /// Shows the report for a maintainer, asks on a terminal, and writes it.
    private func write(
        _ checks: [DiagnosisCheck],
        _ configuration: ClientConfiguration?,
        to file: String
    ) async throws(Failure) {
        let password = configuration?.proxyCredentials.password.map { [$0] } ?? []
        let fields = (configuration?.fields.secrets ?? []) + (configuration?.proxyFields.secrets ?? [])
        let report = SupportReport(checks: checks, secrets: password + fields, logFile: options.log.logFile)
        let text = await report.text()
        // Longer than what the log's writer takes.
        Output.errorAtOnce(text)
        if isatty(STDIN_FILENO) == 1 {
            Output.progress("Write this to \(file)? [y/N] ")
            guard readLine(strippingNewline: true)?.lowercased().hasPrefix("y") == true else {
                return Output.error("not written")
            }
        }
        let remedy = "choose a folder that you can write"
        guard try PrivateFile.make(file, line: text, what: "report", remedy: remedy) else {
            throw Failure(.configuration, "\(file) exists, and is not overwritten; choose another name, or remove it")
        }
        Output.error("written to \(file)")
    }

    /// The checks of the server's side.
    private func checkServer(_ report: DoctorReport) async throws(Failure) {
        let file = options.config ?? ServerConfigurationEdit.standardPath
        let problems = ConfigurationProblems(file, isTrial: true)
        let configuration: ServerConfiguration
        do {
            configuration = try ServerCommand.parse(["--config", file]).read(problems, .ofThisProcess)
        } catch {
            throw Failure(.bug, error.userDescription)
        }
        if let status = problems.status {
            let remedy = "culvert check --config \(file) lists all mistakes"
            return report.add(
                .failed("configuration", .configuration, problems.firstLine ?? "a mistake", remedy: remedy),
                status
            )
        }
        let clients = configuration.clients.count
        report.add(DiagnosisCheck("configuration", .ok, "\(file): in order, \(CompactNumber.count(clients, "client"))"))
        let running = try? AdminSocketSearch(.ofThisProcess).only(needsServer: true)
        for check in await ServerDoctor(configuration: configuration, runningServer: running).checks() {
            report.add(check)
        }
    }

    /// The configuration; nil if it has a mistake, which the report has then.
    private func read(_ report: DoctorReport) -> ClientConfiguration? {
        let problems = ConfigurationProblems(options.config, isTrial: true)
        let settings = ClientSettings(options, problems, needsForwards: false)
        var configuration = settings.configuration()
        // The destination of -W is judged as that of -L.
        if let destination = try? options.stdioDestination() {
            configuration.forwards.append(ForwardSpec(port: 0, to: .destination(destination)))
        }
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
