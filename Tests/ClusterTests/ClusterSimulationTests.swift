import Platform
import TestSupport
import Testing

@testable import Cluster

/// Simulations of a cluster. `CULVERT_CLUSTER_SEED` runs one seed, and `CULVERT_CLUSTER_SEEDS` another
/// number of them. `CULVERT_CLUSTER_TRACE=name:a.example`
/// prints the changes of a place. `CULVERT_HEAVY=1` runs the full size, which wants a
/// release build.
@Suite("A cluster in virtual time") struct ClusterSimulationTests {
    private static func environment(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    static var seeds: [UInt64] {
        environment("CULVERT_CLUSTER_SEED").map { [$0] } ?? Array(1...max(1, environment("CULVERT_CLUSTER_SEEDS") ?? 3))
    }

    private static func run(_ seed: UInt64, _ plan: ClusterSimulation.Plan) -> ClusterSimulation {
        let simulation = ClusterSimulation(seed: seed, plan: plan)
        simulation.run()
        print("seed \(seed): \(simulation.report.text)")
        if let failure = simulation.failure { Issue.record("seed \(seed), \(failure)") }
        return simulation
    }

    @Test(
        "despite faults, a place has one owner, no visitor reaches another client, and all works 15 s after the last fault",
        arguments: seeds
    )
    func faults(seed: UInt64) {
        let simulation = Self.run(seed, ClusterSimulation.Plan())
        #expect(simulation.report.grants > 3_000, "claims were granted")
    }
}
