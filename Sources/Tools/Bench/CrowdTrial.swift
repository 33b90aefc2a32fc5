import TestSupport

/// The workloads of many visitors at once.
extension Trial {
    private static let burst = 262_144

    /// Measures the memory of idle connections, before and after a burst on each.
    func idle(_ environment: TrialEnvironment) async throws -> Measurement {
        let before = environment.usage
        let crowd = try self.crowd(environment, size.idle, ["--burst", "\(Self.burst)"])
        var measurement = Measurement()
        for (phase, figure) in [Figure.idleKibibytes, .usedKibibytes].enumerated() {
            measurement.add(try await environment.report(of: crowd, phase: phase))
            // Leaves time for remaining work.
            try await Task.sleep(for: .seconds(1))
            if !environment.system.tunnel.isEmpty {
                let held = Double(environment.usage.resident - before.resident)
                measurement.values[figure] = held / 1_024 / Double(size.idle)
            }
            crowd.signal(PhaseSignal.signal)
        }
        measurement.add(try await environment.report(of: crowd, phase: 2))
        return measurement
    }

    /// Measures the times until all visitors are connected, until each has had an echo, and until all are closed.
    func visitors(_ environment: TrialEnvironment) async throws -> Measurement {
        let meter = CPUMeter(environment)
        let crowd = try self.crowd(environment, size.visitors, [])
        var times: [Figure: Double] = [:]
        var reports: [LoadReport] = []
        for (phase, figure) in [Figure.openSeconds, .echoSeconds, .closeSeconds].enumerated() {
            let report = try await environment.report(of: crowd, phase: phase)
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

    private func crowd(_ environment: TrialEnvironment, _ visitors: Int, _ options: [String]) throws -> ChildProcess {
        try environment.load("crowd", ["--backend", "\(environment.backend)", "--visitors", "\(visitors)"] + options)
    }
}
