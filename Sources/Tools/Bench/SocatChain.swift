import TestSupport

/// Two socat processes in a row as relays of datagrams: the lowest cost of two processes on the path.
enum SocatChain {
    static func start(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let (front, middle) = (try FreePorts.next(), try FreePorts.next())
        let inner = try await relay("inner", at: middle, to: backend, in: scenario)
        let outer = try await relay("outer", at: front, to: middle, in: scenario)
        return RunningSystem(port: front, tunnel: [outer, inner])
    }

    private static func relay(
        _ name: String,
        at port: UInt16,
        to target: UInt16,
        in scenario: Scenario
    ) async throws -> ChildProcess {
        // The processes of its peers outlive it, so they end by themselves.
        let listener = "UDP4-LISTEN:\(port),bind=127.0.0.1,fork"
        let arguments = ["-b", "65536", "-T", "10", listener, "UDP4:127.0.0.1:\(target)"]
        let process = try scenario.start(name, Program.socat.required(), arguments, isKilled: true)
        try await eventually("\(name) binds \(port)", found: { process.description }) {
            (try? UDPSocket(port: port)) == nil
        }
        return process
    }
}
