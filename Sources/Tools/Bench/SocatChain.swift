import TestSupport

/// Two socat processes in a row as relays of datagrams: the lowest cost of two processes on the path.
enum SocatChain {
    static func start(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let (front, middle) = (try FreePorts.next(), try FreePorts.next())
        let inner = try relay("inner", at: middle, to: backend, in: scenario)
        let outer = try relay("outer", at: front, to: middle, in: scenario)
        return RunningSystem(port: front, tunnel: [outer, inner])
    }

    private static func relay(
        _ name: String,
        at port: UInt16,
        to target: UInt16,
        in scenario: Scenario
    ) throws -> ChildProcess {
        let listener = "UDP4-LISTEN:\(port),bind=127.0.0.1,fork"
        let arguments = ["-b", "65536", listener, "UDP4:127.0.0.1:\(target)"]
        return try scenario.start(name, Program.socat.required(), arguments, isKilled: true)
    }
}
