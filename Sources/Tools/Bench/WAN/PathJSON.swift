import Foundation

/// The report of a run over paths, as JSON: each trial with its figures and packets.
struct PathJSON: Encodable {
    /// One trial.
    struct Trial: Encodable {
        let round: Int
        let path: PathShape
        let system: String
        let flags: [String]
        let figures: [String: Double]
        let faults: Int
        let packets: PathCounts
    }

    let date: String
    let congestionControl: String
    let seconds: Double
    let rounds: Int
    let seed: UInt64
    let direction: String
    /// Mbit/s of each connection; absent without a throttle.
    let throttle: Double?
    let trials: [Trial]

    init(_ run: PathRun, _ results: PathResults) {
        date = Date.now.formatted(.iso8601)
        congestionControl = run.settings.congestionControl
        seconds = run.settings.seconds
        rounds = run.rounds
        seed = run.settings.seed
        direction = run.settings.uploads ? "upload" : "download"
        throttle = run.settings.throttle
        trials = results.trials.map { trial in
            let figures = trial.found.measurement.values.compactMap { figure, value in
                Self.keys[figure].map { ($0, value) }
            }
            return Trial(
                round: trial.round,
                path: trial.place.shape,
                system: trial.place.system.name,
                flags: trial.place.system.flags,
                figures: Dictionary(uniqueKeysWithValues: figures),
                faults: trial.found.measurement.faults,
                packets: trial.found.packets
            )
        }
    }

    /// The names of the figures.
    private static let keys: [Figure: String] = [
        .megabitsPerSecond: "mbit_s",
        .aloneMedian: "alone_p50_ms", .alonePercentile95: "alone_p95_ms", .alonePercentile99: "alone_p99_ms",
        .besideMedian: "beside_p50_ms", .besidePercentile95: "beside_p95_ms", .besidePercentile99: "beside_p99_ms",
    ]

    /// The text of the file.
    var text: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
        }
    }
}
