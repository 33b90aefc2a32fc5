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
        #expect(simulation.report.grants > simulation.clients.count, "claims were granted")
    }

    @Test(
        "so it is while clients move between servers whose paths to the store and to each other are cut",
        arguments: seeds
    )
    func cutPaths(seed: UInt64) {
        var plan = ClusterSimulation.Plan()
        (plan.clients, plan.faults) = (1_000, 50)
        // No server ends: a name would stay lost that a server has taken from one which cannot hear of it.
        plan.kinds = [.storePath, .peerPath, .peerPath, .clientsVanish, .clientsVanish]
        let simulation = Self.run(seed, plan)
        #expect(simulation.report.notices > 0, "names were taken over")
    }

    @Test("so it is with 10,000 claims of 10 servers, and under CULVERT_HEAVY with 1,000,000 claims of 1,000 servers")
    func size() {
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
        _ = Self.run(Self.seeds[0], plan)
    }

    @Test(
        "while the store is away for ten minutes, sessions, ports and known names go on; then claims are back within 2 s",
        arguments: [true, false]
    )
    func outage(refuses: Bool) {
        var plan = ClusterSimulation.Plan()
        (plan.servers, plan.clients, plan.faults, plan.contested, plan.groups) = (5, 600, 0, 0, 0)
        (plan.visitorsPerSecond, plan.lost, plan.late, plan.repeated) = (0, 0, 0, 0)
        let simulation = ClusterSimulation(seed: 7, plan: plan)
        simulation.runOutage(refuses: refuses)
        print(simulation.report.text)
        if let failure = simulation.failure { Issue.record("\(failure)") }
    }
}
