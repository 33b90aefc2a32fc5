import Foundation
import TestSupport

/// Measures systems over paths: round by round, path by path, with the systems in turn.
struct PathRun: Sendable {
    /// A row of a table.
    struct Place: Hashable, Sendable {
        let shape: PathShape
        let system: PathSystem
    }

    let systems: [PathSystem]
    let shapes: [PathShape]
    let rounds: Int
    let settings: PathSettings

    /// The columns of the tables.
    var figures: [Figure] {
        let requests: [Figure] = [
            .aloneMedian, .alonePercentile95, .alonePercentile99, .besideMedian, .besidePercentile95,
            .besidePercentile99,
        ]
        return [.megabitsPerSecond] + (settings.hasRequests ? requests : [])
    }

    /// Runs the trials, and prints progress on standard error.
    func results() async throws -> PathResults {
        var results = PathResults()
        for round in 0..<rounds {
            for shape in shapes {
                // The first system changes each round.
                let turn = round % max(1, systems.count)
                for system in systems[turn...] + systems[..<turn] {
                    Run.printProgress("round \(round + 1) of \(rounds): \(shape.title), \(system.name)")
                    let place = Place(shape: shape, system: system)
                    do {
                        let trial = PathTrial(system: system, shape: shape, settings: settings, round: round)
                        results.add(try await trial.run(), round: round, at: place)
                    } catch {
                        try Task.checkCancellation()
                        Run.printProgress("\(error)")
                        results.table.add(failure: String("\(error)".prefix { $0 != "\n" }.prefix(200)), at: place)
                    }
                }
            }
        }
        return results
    }
}

/// The results of a run: for the tables, and each trial for JSON.
struct PathResults: Sendable {
    /// One trial.
    struct Trial: Sendable {
        let round: Int
        let place: PathRun.Place
        let found: PathMeasurement
    }

    var table = Results<PathRun.Place>()
    private(set) var trials: [Trial] = []

    /// Adds a trial.
    mutating func add(_ found: PathMeasurement, round: Int, at place: PathRun.Place) {
        table.add(found.measurement, at: place)
        trials.append(Trial(round: round, place: place, found: found))
    }
}
