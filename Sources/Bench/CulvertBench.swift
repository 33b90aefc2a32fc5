import ArgumentParser
import Foundation
import TestSupport

/// `culvert-bench`: Culvert beside other tunnels, from outside, on loopback. Prints Markdown.
///
/// `CULVERT_BIN` names the executable under test; without it the one that was built beside this one. Everything that
/// makes load or answers it is a process of its own: this executable, run again.
@main
struct CulvertBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "culvert-bench",
        subcommands: [MeasureCommand.self, LoadCommand.self, BackendCommand.self, Keeper.self],
        defaultSubcommand: MeasureCommand.self
    )

    static func main() async {
        Cue.prepare()
        DescriptorLimit.raise()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: error)
        }
    }
}
