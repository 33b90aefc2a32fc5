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
    /// The median, the 95th and the 99th percentile of the exchanges, in microseconds.
    var median: Double?
    var percentile95: Double?
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

    /// Sets the median and the percentiles from times in nanoseconds.
    mutating func setPercentiles(of times: [some BinaryInteger]) {
        let sorted = times.sorted()
        func microseconds(_ share: Double) -> Double? {
            Statistics.percentile(share, ofSorted: sorted).map { Double($0) / 1_000 }
        }
        (median, percentile95, percentile99) = (microseconds(0.5), microseconds(0.95), microseconds(0.99))
    }

    /// Prints the line at once.
    func print() throws { try JSONLine.print(self) }

    /// Reads a line of a load's output.
    init(line: String) throws { self = try JSONLine.read(line) }

    init() {}
}
