import Platform
import TestSupport
import Testing

@testable import Cluster

/// Simulations of a cluster. `CULVERT_CLUSTER_SEED` runs one seed. `CULVERT_HEAVY=1` runs the full size, which wants a
/// release build.
@Suite("A cluster in virtual time") struct ClusterSimulationTests {
    static var seeds: [UInt64] {
        getenv("CULVERT_CLUSTER_SEED").flatMap { UInt64(String(cString: $0)) }.map { [$0] } ?? Array(1...3)
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
