import Foundation
import TestSupport

/// A client with `-W` whose standard output goes to a file.
struct StdioClient: Sendable {
    let process: ChildProcess
    let outputFile: String
    /// Kept, because a pipe ends with its last owner.
    let input: StandardInput

    /// Standard output so far.
    var bytes: [UInt8] { FileManager.default.contents(atPath: outputFile).map { Array($0) } ?? [] }
}

extension Scenario {
    /// Starts a client with `-W`.
    func stdio(
        _ url: String,
        to destination: String,
        _ input: StandardInput,
        options: [String] = [],
        named name: String = "client"
    ) throws -> StdioClient {
        let outputFile = "\(directory)/\(name) output"
        let process = try culvert(
            name,
            stdioArguments(url, destination) + options,
            input: input,
            outputFile: outputFile
        )
        return StdioClient(process: process, outputFile: outputFile, input: input)
    }

    /// The arguments of a client with `-W`.
    func stdioArguments(_ url: String, _ destination: String) -> [String] {
        ["client", url, "--token-file", tokenFile, "-W", destination]
    }
}
