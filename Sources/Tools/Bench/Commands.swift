import ArgumentParser
import Glibc

/// The loads before a tunnel. Each is a separate process, and reports its results.
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        shouldDisplay: false,
        subcommands: [BulkLoad.self, StalledLoad.self, PingPongLoad.self, ChurnLoad.self, CrowdLoad.self]
    )
}

/// The backend behind a tunnel, which prints its port.
struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "backend", shouldDisplay: false)

    func run() throws {
        guard let backend = Backend() else { throw ExitCode.failure }
        print("\(Self.announcement)\(backend.port)")
        fflush(nil)
        backend.run()
    }

    /// The text before the port.
    static let announcement = "listening "
}
