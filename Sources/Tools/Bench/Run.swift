import Foundation
import TestSupport

/// All trials in turn: round by round, in each the workloads, for each the systems side by side.
struct Run: Sendable {
    let systems: [System]
    let workloads: [Workload]
    let rounds: Int
    let size: Size

    /// Measures; says on standard error how far it is.
    func results() async throws -> Results {
        var results = Results()
        for round in 0..<rounds {
            for workload in workloads {
                // Another one is first each time, so that what a trial leaves behind does not always meet the same.
                let turn = round % max(1, systems.count)
                for system in systems[turn...] + systems[..<turn] where workload.suits(system) {
                    let place = Results.Place(workload: workload, system: system)
                    say("round \(round + 1) of \(rounds): \(workload.rawValue), \(system.rawValue)")
                    do {
                        let trial = Trial(system: system, workload: workload, size: size)
                        results.add(try await trial.run(), at: place)
                    } catch {
                        try Task.checkCancellation()
                        say("\(error)")
                        let reason = "\(error)".prefix { $0 != "\n" }.prefix(200)
                        results.add(failure: String(reason), at: place)
                    }
                }
            }
        }
        return results
    }

    private func say(_ line: String) {
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }
}
