import Foundation
import TestSupport

/// Runs all trials: round by round, workload by workload, with the systems in turn.
struct Run: Sendable {
    let systems: [System]
    let workloads: [Workload]
    let rounds: Int
    let size: Size

    /// Measures, and reports progress on standard error.
    func results() async throws -> Results {
        var results = Results()
        for round in 0..<rounds {
            for workload in workloads {
                // The first system changes each time, so that the effects of a trial on the next one are spread.
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
