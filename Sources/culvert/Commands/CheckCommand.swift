import ArgumentParser

/// `culvert check`: says what is wrong with a configuration without starting anything.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Says what is wrong with a configuration, by line; exits with 0 when it would start."
    )

    @Option(help: "The configuration to check.")
    var config: String

    func run() throws {
        let problems = ConfigurationProblems(config, isTrial: true)
        // Which role's it is, without a word yet about mistakes.
        let file = ConfigurationFile(path: config, ConfigurationProblems(config))
        let role: String
        if Self.isClients(file) {
            role = "client"
            _ = try ClientCommand.parse(["--config", config]).read(problems)
        } else {
            role = "server"
            _ = try ServerCommand.parse(["--config", config]).read(problems)
        }
        for line in problems.lines { Output.error(line) }
        if let status = problems.status { throw Failure(told: status) }
        Output.line("\(config): a \(role)'s configuration, in order")
    }

    /// A server starts with any of its keys or none, so that a key of a client alone makes it a client's.
    private static func isClients(_ file: ConfigurationFile) -> Bool {
        if file.has("url") { return true }
        if file.has("listen") || file.has("client") { return false }
        return file.table.keys.contains { !ServerFile.keys.contains($0) && ClientFile.keys.contains($0) }
    }
}
