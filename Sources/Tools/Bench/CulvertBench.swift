import ArgumentParser

/// `culvert-bench`: measures Culvert beside other tunnels, from outside, on loopback or over the paths of `wan`. Prints
/// Markdown.
///
/// `CULVERT_BIN` names the executable under test. The default is the one that was built with this program. Each load
/// and the backend is a separate process of this executable.
@main
enum CulvertBench {
    static func main() async {
        PhaseSignal.prepare()
        DescriptorLimit.raise()
        let arguments = Array(CommandLine.arguments.dropFirst())
        let isInternal = arguments.first.map(InternalCommand.names.contains) ?? false
        let isWAN = arguments.first == WANCommand.word
        let root: any ParsableCommand.Type =
            isWAN ? WANCommand.self : isInternal ? InternalCommand.self : MeasureCommand.self
        do {
            var command = try root.parseAsRoot(isWAN ? Array(arguments.dropFirst()) : arguments)
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

/// The commands with which this executable starts itself.
struct InternalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(subcommands: [
        LoadCommand.self, BackendCommand.self, OrphanReaper.self, PathCommand.self, InsideCommand.self,
        ThrottleCommand.self,
    ])

    /// The names of the subcommands.
    static var names: [String] { configuration.subcommands.compactMap { $0.configuration.commandName } }
}
