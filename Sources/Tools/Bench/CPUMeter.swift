import TestSupport

/// Measures the processor time and memory of a tunnel's processes.
struct CPUMeter {
    private let stage: TrialEnvironment
    private let before: ProcessUsage

    /// Starts the measurement.
    init(_ stage: TrialEnvironment) {
        self.stage = stage
        ProcessUsage.forgetPeak(of: stage.system.tunnel.map(\.pid))
        before = stage.usage
    }

    /// The figures until now, for a number of bytes or operations; empty for a system without processes.
    func measurement(bytes: Int = 0, operations: Int = 0) -> Measurement {
        var measurement = Measurement()
        guard !stage.system.tunnel.isEmpty else { return measurement }
        let after = stage.usage
        let seconds = after.seconds - before.seconds
        if bytes > 0 { measurement.values[.processorSecondsPerGigabyte] = seconds / Double(bytes) * 1e9 }
        if operations > 0 { measurement.values[.processorMicroseconds] = seconds / Double(operations) * 1e6 }
        measurement.values[.peakMebibytes] = Double(after.peak - before.resident) / Double(1 << 20)
        return measurement
    }
}

extension Measurement {
    /// Adds the faults and times of a load.
    mutating func add(_ report: LoadReport) {
        faults += report.faults
        if let median = report.median { values[.median] = median }
        if let slow = report.slow { values[.slow] = slow }
    }
}
