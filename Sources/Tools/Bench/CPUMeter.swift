import TestSupport

/// What a tunnel's processes cost from a moment on.
struct CPUMeter {
    private let stage: TrialEnvironment
    private let before: ProcessUsage

    /// From now on.
    init(_ stage: TrialEnvironment) {
        self.stage = stage
        ProcessUsage.forgetPeak(of: stage.system.tunnel.map(\.pid))
        before = stage.usage
    }

    /// Until now, for so many bytes or operations; empty for a system without processes.
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
    /// Adds a load's faults and times.
    mutating func add(_ report: LoadReport) {
        faults += report.faults
        if let median = report.median { values[.median] = median }
        if let slow = report.slow { values[.slow] = slow }
    }
}
