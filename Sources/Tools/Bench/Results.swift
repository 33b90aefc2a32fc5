/// A place in the tables of the workloads on loopback.
struct TrialPlace: Hashable, Sendable {
    let workload: Workload
    let system: System
}

/// The results of all trials of a run.
///
/// `Place` is a row of a table.
struct Results<Place: Hashable & Sendable>: Sendable {
    private var measurements: [Place: [Measurement]] = [:]
    private var failures: [Place: [String]] = [:]

    /// Adds the measurement of a trial.
    mutating func add(_ measurement: Measurement, at place: Place) {
        measurements[place, default: []].append(measurement)
    }

    /// Adds a trial that failed.
    mutating func add(failure: String, at place: Place) {
        failures[place, default: []].append(failure)
    }

    /// The values of a figure, one for each round that has it.
    func values(of figure: Figure, at place: Place) -> [Double] {
        (measurements[place] ?? []).compactMap { $0.values[figure] }
    }

    /// The median of all rounds.
    func median(of figure: Figure, at place: Place) -> Double? {
        Statistics.median(values(of: figure, at: place))
    }

    /// The number of faulty streams and failed trials.
    func faults(at place: Place) -> Int {
        (measurements[place] ?? []).reduce(0) { $0 + $1.faults } + (failures[place]?.count ?? 0)
    }

    /// The reasons of failed trials.
    func failures(at place: Place) -> [String] { failures[place] ?? [] }

    /// Whether there are results.
    func hasTrials(at place: Place) -> Bool { measurements[place] != nil || failures[place] != nil }

    /// The number of all faults.
    var faults: Int { Set(measurements.keys).union(failures.keys).reduce(0) { $0 + faults(at: $1) } }
}
