import Foundation

/// The result of one phase of a load, a line of JSON on standard output.
struct LoadReport: Codable {
    /// The number of completed exchanges or connections.
    var operations = 0
    /// The received payload in bytes.
    var bytes = 0
    /// The duration in seconds.
    var seconds = 0.0
    /// The number of streams with wrong bytes.
    var wrong = 0
    /// The number of streams that were refused, reset, or stalled.
    var broken = 0
    /// The median and the 99th percentile of the exchanges, in microseconds.
    var median: Double?
    var percentile99: Double?

    /// The number of all faults.
    var faults: Int { wrong + broken }

    /// Counts the end of an exchange.
    mutating func count(_ outcome: EchoVisitors.Outcome) {
        switch outcome {
        case .echoed: operations += 1
        case .wrong: wrong += 1
        case .broken: broken += 1
        }
    }

    /// Prints the line at once.
    func print() throws {
        let line = try JSONEncoder().encode(self) + Data("\n".utf8)
        try FileHandle.standardOutput.write(contentsOf: line)
    }

    /// Reads a line of a load's output.
    init(line: String) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(line.utf8))
    }

    init() {}
}
