import ArgumentParser
import CNamespace
import Foundation
import TestSupport

/// Becomes a program in a network namespace, under the same process id.
struct InsideCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "inside", shouldDisplay: false)

    /// The namespace's file, the program and its arguments.
    @Argument(parsing: .captureForPassthrough) var words: [String]

    func run() throws {
        guard words.count > 1, culvert_namespace_enter(words[0]) == 0 else {
            throw ScenarioFailure(description: "\(words.first ?? "namespace"): \(String(cString: strerror(errno)))")
        }
        PhaseSignal.restore()
        var arguments = words.dropFirst().map { strdup($0) }
        arguments.append(nil)
        execv(words[1], &arguments)
        throw ScenarioFailure(description: "\(words[1]): \(String(cString: strerror(errno)))")
    }
}
