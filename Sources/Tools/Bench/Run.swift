import Foundation
import TestSupport

/// Runs all trials: round by round, workload by workload, with the systems in turn.
struct Run: Sendable {
    let systems: [System]
    let workloads: [Workload]
    let rounds: Int
    let size: Size

    /// Runs the trials, and prints progress on standard error.
    func results() async throws -> Results<TrialPlace> {
        var results = Results<TrialPlace>()
        for round in 0..<rounds {
            for workload in workloads {
                // The first system changes each round, so that no system always follows the same one.
                let turn = round % max(1, systems.count)
                for system in systems[turn...] + systems[..<turn] where workload.applies(to: system) {
                    let place = TrialPlace(workload: workload, system: system)
                    Self.printProgress("round \(round + 1) of \(rounds): \(workload.rawValue), \(system.rawValue)")
                    do {
                        let trial = Trial(system: system, workload: workload, size: size)
                        results.add(try await trial.run(), at: place)
                    } catch {
                        try Task.checkCancellation()
                        Self.printProgress("\(error)")
                        let reason = "\(error)".prefix { $0 != "\n" }.prefix(200)
                        results.add(failure: String(reason), at: place)
                    }
                }
            }
        }
        return results
    }

    /// Prints a line on standard error.
    static func printProgress(_ line: String) {
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }
}
