import TestSupport

/// The workloads of many visitors at once.
extension Trial {
    private static let burst = 262_144

    /// Measures the memory of idle connections, before and after a burst on each.
    func idle(_ stage: TrialEnvironment) async throws -> Measurement {
        let before = stage.usage
        let crowd = try self.crowd(stage, size.idle, ["--burst", "\(Self.burst)"])
        var measurement = Measurement()
        for (phase, figure) in [Figure.idleKibibytes, .usedKibibytes].enumerated() {
            measurement.add(try await stage.report(of: crowd, phase: phase))
            // Leaves time for the last work to end.
            try await Task.sleep(for: .seconds(1))
            if !stage.system.tunnel.isEmpty {
                let held = Double(stage.usage.resident - before.resident)
                measurement.values[figure] = held / 1_024 / Double(size.idle)
            }
            crowd.signal(PhaseSignal.signal)
        }
        measurement.add(try await stage.report(of: crowd, phase: 2))
        return measurement
    }

    /// Measures the times until all visitors are connected, until each has had an echo, and until all are closed.
    func visitors(_ stage: TrialEnvironment) async throws -> Measurement {
        let meter = CPUMeter(stage)
        let crowd = try self.crowd(stage, size.visitors, [])
        var times: [Figure: Double] = [:]
        var reports: [LoadReport] = []
        for (phase, figure) in [Figure.openSeconds, .echoSeconds, .closeSeconds].enumerated() {
            let report = try await stage.report(of: crowd, phase: phase)
            times[figure] = report.seconds
            reports.append(report)
            try await Task.sleep(for: .milliseconds(500))
            crowd.signal(PhaseSignal.signal)
        }
        var measurement = meter.measurement()
        for report in reports { measurement.add(report) }
        measurement.values.merge(times) { _, new in new }
        return measurement
    }

    private func crowd(_ stage: TrialEnvironment, _ visitors: Int, _ options: [String]) throws -> ChildProcess {
        try stage.load("crowd", ["--backend", "\(stage.backend)", "--visitors", "\(visitors)"] + options)
    }
}
