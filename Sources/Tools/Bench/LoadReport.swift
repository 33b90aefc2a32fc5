import Foundation

/// What one phase of a load found, as one line of JSON on standard output.
struct LoadReport: Codable {
    /// Exchanges or connections that were completed.
    var operations = 0
    /// Payload that arrived.
    var bytes = 0
    /// How long it took.
    var seconds = 0.0
    /// Bytes that do not belong there: streams that had any.
    var wrong = 0
    /// Streams that were refused, reset, or stood still for too long.
    var broken = 0
    /// The middle and the ninety-ninth percentile of the exchanges, in microseconds.
    var median: Double?
    var slow: Double?

    /// All that went wrong.
    var faults: Int { wrong + broken }

    /// Counts an exchange's end.
    mutating func count(_ outcome: EchoVisitors.Outcome) {
        switch outcome {
        case .echoed: operations += 1
        case .wrong: wrong += 1
        case .broken: broken += 1
        }
    }

    /// Prints it at once.
    func print() throws {
        let line = try JSONEncoder().encode(self) + Data("\n".utf8)
        try FileHandle.standardOutput.write(contentsOf: line)
    }

    /// From a line of a load's output.
    init(line: String) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(line.utf8))
    }

    init() {}
}
