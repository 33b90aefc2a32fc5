import Foundation
import TestSupport

/// The backend, the system and the loads of one trial.
struct TrialEnvironment: Sendable {
    /// The timeout of a report after the duration of its load.
    private static let timeout = 150.0
    private static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path

    let system: RunningSystem
    let backend: UInt16
    private let scenario: Scenario

    /// Starts the backend and the system, and checks them with one visitor.
    init(_ system: System, _ workload: Workload, in scenario: Scenario) async throws {
        self.scenario = scenario
        let process = try scenario.start("backend", Self.executable, ["backend"], isKilled: true)
        let line = try await process.line { $0.hasPrefix(BackendCommand.announcement) }
        guard let port = UInt16(line.dropFirst(BackendCommand.announcement.count)) else {
            throw ScenarioFailure(description: "no port in: \(line)")
        }
        backend = port
        self.system = try await system.start(before: port, in: scenario)
        let roots = (self.system.tunnel + self.system.hops).map(\.pid)
        let processes = ProcessUsage.withDescendants(roots + [process.pid])
        _ = try scenario.start(
            "orphan-reaper",
            Self.executable,
            ["orphan-reaper"] + processes.map { "\($0)" },
            isKilled: true
        )
        let probe = try load(workload == .datagrams ? "datagrams" : "ping-pong", ["--seconds", "0.1"])
        guard try await report(of: probe).operations > 0 else {
            throw ScenarioFailure(description: "no echo through \(system.rawValue)")
        }
        // Leaves time for remaining work of the first visitor.
        try await Task.sleep(for: .milliseconds(300))
    }

    /// Starts a load on the system.
    func load(_ name: String, _ arguments: [String]) throws -> ChildProcess {
        let port = ["--port", "\(system.port)"]
        return try scenario.start(name, Self.executable, ["load", name] + port + arguments, isKilled: true)
    }

    /// Waits for a load's report.
    ///
    /// - Parameters:
    ///   - phase: the number of the report.
    ///   - seconds: the duration of the load, during which the runner does not poll, to save processor time.
    func report(of load: ChildProcess, phase: Int = 0, after seconds: Double = 0) async throws -> LoadReport {
        try await Task.sleep(for: .seconds(seconds))
        let line = try await load.line(skip: phase, within: .seconds(Self.timeout)) { $0.hasPrefix("{") }
        return try LoadReport(line: line)
    }

    /// The resources that the tunnel's processes have used so far.
    var usage: ProcessUsage { ProcessUsage(of: system.tunnel.map(\.pid)) }

    /// The resources that the proxy and the front have used so far.
    var usageOfHops: ProcessUsage { ProcessUsage(of: system.hops.map(\.pid)) }
}
