import ArgumentParser
import Glibc

/// What stands before a tunnel: each load is a process of its own, and says what it found.
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        shouldDisplay: false,
        subcommands: [BulkLoad.self, StalledLoad.self, PingPongLoad.self, ChurnLoad.self, CrowdLoad.self]
    )
}

/// What stands behind a tunnel: it says where it listens.
struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "backend", shouldDisplay: false)

    func run() throws {
        guard let backend = Backend() else { throw ExitCode.failure }
        print("\(Self.announcement)\(backend.port)")
        fflush(nil)
        backend.run()
    }

    /// What stands before the port.
    static let announcement = "listening "
}
