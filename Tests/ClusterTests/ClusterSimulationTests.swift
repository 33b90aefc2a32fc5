import Platform
import TestSupport
import Testing

@testable import Cluster

/// Simulations of a cluster. `CULVERT_CLUSTER_SEED` runs one seed, and `CULVERT_CLUSTER_SEEDS` another
/// number of them. `CULVERT_CLUSTER_TRACE=name:a.example`
/// prints the changes of a place. `CULVERT_HEAVY=1` runs the full size, which wants a
/// release build.
@Suite("A cluster in virtual time", .serialized) struct ClusterSimulationTests {
    private static func environment(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    static var seeds: [UInt64] {
        environment("CULVERT_CLUSTER_SEED").map { [$0] } ?? Array(1...max(1, environment("CULVERT_CLUSTER_SEEDS") ?? 3))
    }

    /// The figures of a simulation that tests judge.
    private struct Outcome: Sendable {
        let clients: Int
        let grants: Int
        let notices: Int
    }

    /// Runs a simulation on a thread of its own: for seconds, it would keep other tests from the threads that they share.
    private static func run(
        _ seed: UInt64,
        _ plan: ClusterSimulation.Plan,
        _ body: @escaping @Sendable (ClusterSimulation) -> Void = { $0.run() }
    ) async throws -> Outcome {
        let (outcome, failure) = try await onThread {
            let simulation = ClusterSimulation(seed: seed, plan: plan)
            body(simulation)
            print("seed \(seed): \(simulation.report.text)")
            let report = simulation.report
            return (
                Outcome(clients: simulation.clients.count, grants: report.grants, notices: report.notices),
                simulation.failure.map { "\($0)" }
            )
        }
        if let failure { Issue.record("seed \(seed), \(failure)") }
        return outcome
    }

    @Test(
        "despite faults, a place has one owner, no visitor reaches another client, and all works 15 s after the last fault",
        arguments: seeds
    )
    func faults(seed: UInt64) async throws {
        let outcome = try await Self.run(seed, ClusterSimulation.Plan())
        #expect(outcome.grants > outcome.clients, "claims were granted")
    }

    @Test(
        "so it is while clients move between servers whose paths to the store and to each other are cut",
        arguments: seeds
    )
    func cutPaths(seed: UInt64) async throws {
        var plan = ClusterSimulation.Plan()
        (plan.clients, plan.faults) = (1_000, 50)
        // No server ends: a name would stay lost that a server has taken from one which cannot hear of it.
        plan.kinds = [.storePath, .peerPath, .peerPath, .clientsVanish, .clientsVanish]
        let outcome = try await Self.run(seed, plan)
        #expect(outcome.notices > 0, "names were taken over")
    }

    @Test("so it is with 10,000 claims of 10 servers, and under CULVERT_HEAVY with 1,000,000 claims of 1,000 servers")
    func size() async throws {
        var plan = ClusterSimulation.Plan()
        (plan.clients, plan.ports, plan.contested, plan.groups) = (9_500, 300, 100, 100)
        if TestRun.isHeavy {
            (plan.servers, plan.clients, plan.ports, plan.contested, plan.groups) = (
                1_000, 985_000, 3_000, 2_000, 1_000
            )
            (plan.arrival, plan.faultTime, plan.faults, plan.visitorsPerSecond) = (30, 60, 150, 2_000)
        } else if let tenths = Self.environment("CULVERT_CLUSTER_SERVERS").map({ Int(clamping: $0) }) {
            (plan.servers, plan.clients) = (tenths, 985 * tenths)
            (plan.ports, plan.contested, plan.groups) = (3 * tenths, 2 * tenths, tenths)
            (plan.arrival, plan.faults) = (20, 40)
        }
        _ = try await Self.run(Self.seeds[0], plan)
    }

    @Test(
        "while the store is away for ten minutes, sessions, ports and known names go on; then claims are back within 2 s",
        arguments: [true, false]
    )
    func outage(refuses: Bool) async throws {
        var plan = ClusterSimulation.Plan()
        (plan.servers, plan.clients, plan.faults, plan.contested, plan.groups) = (5, 600, 0, 0, 0)
        (plan.visitorsPerSecond, plan.lost, plan.late, plan.repeated) = (0, 0, 0, 0)
        _ = try await Self.run(7, plan) { $0.runOutage(refuses: refuses) }
    }
}
