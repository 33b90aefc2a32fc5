/// What all trials of a run found.
struct Results: Sendable {
    /// A place in the tables.
    struct Place: Hashable, Sendable {
        let workload: Workload
        let system: System
    }

    private var measurements: [Place: [Measurement]] = [:]
    private var failures: [Place: [String]] = [:]

    /// Adds a trial's.
    mutating func add(_ measurement: Measurement, at place: Place) {
        measurements[place, default: []].append(measurement)
    }

    /// Adds a trial that came to nothing.
    mutating func add(failure: String, at place: Place) {
        failures[place, default: []].append(failure)
    }

    /// What one figure was, in each round that has it.
    func values(of figure: Figure, at place: Place) -> [Double] {
        (measurements[place] ?? []).compactMap { $0.values[figure] }
    }

    /// The middle of all rounds.
    func median(of figure: Figure, at place: Place) -> Double? {
        Statistics.median(values(of: figure, at: place))
    }

    /// Streams that went wrong, and trials that came to nothing.
    func faults(at place: Place) -> Int {
        (measurements[place] ?? []).reduce(0) { $0 + $1.faults } + (failures[place]?.count ?? 0)
    }

    /// Why trials came to nothing.
    func failures(at place: Place) -> [String] { failures[place] ?? [] }

    /// Whether there is something to show.
    func hasTrials(at place: Place) -> Bool { measurements[place] != nil || failures[place] != nil }

    /// All that went wrong.
    var faults: Int { Set(measurements.keys).union(failures.keys).reduce(0) { $0 + faults(at: $1) } }
}
