import ArgumentParser
import Glibc

/// Generates load through a tunnel, in a separate process that reports its results.
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        shouldDisplay: false,
        subcommands: [
            BulkLoad.self, StalledLoad.self, PingPongLoad.self, ChurnLoad.self, CrowdLoad.self, DatagramLoad.self,
            PacedLoad.self, TimedBulkLoad.self, AwaitLoad.self,
        ]
    )
}

/// Runs the backend, and prints its port.
struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "backend", shouldDisplay: false)

    @Option var address = loopback

    func run() throws {
        guard let backend = Backend(address) else { throw ExitCode.failure }
        print("\(Self.announcement)\(backend.port)")
        fflush(nil)
        backend.run()
    }

    /// The text before the port.
    static let announcement = "listening "
}
