import ArgumentParser

/// `culvert check`: reports every mistake in a configuration without starting anything.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Reports every mistake in a configuration, by line; exits with 0 if it would start."
    )

    @Option(help: "The configuration to check.")
    var config: String

    func run() throws {
        let problems = ConfigurationProblems(config, isTrial: true)
        // The first reading only finds out which role the file is for; its mistakes are reported below.
        let file = ConfigurationFile(path: config, ConfigurationProblems(config))
        let role: String
        if Self.isClients(file) {
            role = "client"
            _ = try ClientCommand.parse(["--config", config]).read(problems)
        } else {
            role = "server"
            _ = try ServerCommand.parse(["--config", config]).read(problems, .ofThisProcess)
        }
        for line in problems.lines { Output.error(line) }
        if let status = problems.status { throw Failure(reported: status) }
        Output.line("\(config): a \(role)'s configuration, in order")
    }

    /// Whether the file is a client's: it has `url`, or a key that a server does not have.
    static func isClients(_ file: ConfigurationFile) -> Bool {
        if file.has("url") { return true }
        if file.has("listen") || file.has("client") { return false }
        return file.table.keys.contains { !ServerFile.keys.contains($0) && ClientFile.keys.contains($0) }
    }
}
