import ArgumentParser

/// Waits until a port accepts connections, and with `--echoes` until the backend answers behind it.
struct AwaitLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "await", shouldDisplay: false)
    /// Seconds between two attempts.
    private static let interval = 0.05

    @Option var address = loopback
    @Option var port: UInt16
    @Option var seconds = 20.0
    @Flag var echoes = false

    func run() throws {
        let deadline = Clock.seconds + seconds
        while Clock.seconds < deadline {
            if succeeds(until: deadline) { return }
            Clock.sleep(until: Clock.seconds + Self.interval)
        }
        throw ExitCode.failure
    }

    private func succeeds(until deadline: Double) -> Bool {
        guard let connection = Connection(address, port: port, waits: true) else { return false }
        defer { connection.close() }
        guard echoes else { return true }
        // A tunnel may accept before its other end is there.
        connection.setReceiveTimeout(seconds: min(2, max(0.1, deadline - Clock.seconds)))
        return connection.sendAll(WorkloadRequest(kind: .connectionCount).bytes) && connection.receiveNumber() != nil
    }
}
