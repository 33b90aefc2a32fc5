import ArgumentParser

/// `culvert-bench`: Culvert beside other tunnels, from outside, on loopback. Prints Markdown.
///
/// `CULVERT_BIN` names the executable under test; without it the one that was built beside this one. Everything that
/// makes load or answers it is a process of its own: this executable again, as one of its parts.
@main
enum CulvertBench {
    static func main() async {
        PhaseSignal.prepare()
        DescriptorLimit.raise()
        let arguments = Array(CommandLine.arguments.dropFirst())
        let isPart = arguments.first.map(Part.names.contains) ?? false
        let root: any ParsableCommand.Type = isPart ? Part.self : MeasureCommand.self
        do {
            var command = try root.parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            root.exit(withError: error)
        }
    }
}

/// What this executable is when it has started itself.
struct Part: ParsableCommand {
    static let configuration = CommandConfiguration(subcommands: [
        LoadCommand.self, BackendCommand.self, OrphanReaper.self,
    ])

    /// The first arguments that mean a part.
    static var names: [String] { configuration.subcommands.compactMap { $0.configuration.commandName } }
}
