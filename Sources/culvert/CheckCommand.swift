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
        let file = try ConfigurationFile(path: config)
        if file.has("url") {
            let command = try ClientCommand.parse(["--config", config])
            _ = try command.configuration()
            Output.line("\(config): a client's configuration, in order")
        } else if file.has("listen") || file.has("client") {
            let command = try ServerCommand.parse(["--config", config])
            _ = try command.configuration()
            Output.line("\(config): a server's configuration, in order")
        } else {
            throw Failure(
                .configuration,
                "\(config): neither url (a client's) nor listen or [[client]] (a server's) is there"
            )
        }
    }
}
