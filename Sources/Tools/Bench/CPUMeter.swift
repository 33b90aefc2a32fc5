import TestSupport

/// Measures the processor time and memory of a tunnel's processes.
struct CPUMeter {
    private let environment: TrialEnvironment
    private let before: ProcessUsage

    /// Starts the measurement.
    init(_ environment: TrialEnvironment) {
        self.environment = environment
        ProcessUsage.resetPeak(of: environment.system.tunnel.map(\.pid))
        before = environment.usage
    }

    /// The figures since the start, per byte or operation; empty for a system without processes.
    func measurement(bytes: Int = 0, operations: Int = 0) -> Measurement {
        var measurement = Measurement()
        guard !environment.system.tunnel.isEmpty else { return measurement }
        let after = environment.usage
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
        if let percentile99 = report.percentile99 { values[.percentile99] = percentile99 }
    }
}
