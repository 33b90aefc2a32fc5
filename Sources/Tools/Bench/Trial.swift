import TestSupport

/// Runs one workload on one system once.
struct Trial: Sendable {
    let system: System
    let workload: Workload
    let size: Size

    /// Starts the system, measures, and stops it.
    func run() async throws -> Measurement {
        let measurement: Measurement? = try await Scenario.play { scenario in
            do {
                return try await measured(scenario)
            } catch  where Task.isCancelled {
                // The output of the processes is not shown.
                return nil
            }
        }
        guard let measurement else { throw CancellationError() }
        return measurement
    }

    private func measured(_ scenario: Scenario) async throws -> Measurement {
        let stage = try await TrialEnvironment(system, in: scenario)
        return switch workload {
        case .download: try await bulk(stage, streams: 1, [])
        case .upload: try await bulk(stage, streams: 1, ["--uploads"])
        case .downloads16: try await bulk(stage, streams: 16, [])
        case .uploads16: try await bulk(stage, streams: 16, ["--uploads"])
        case .pingPong: try await exchanges(stage, "ping-pong", visitors: 1)
        case .pingPong64: try await exchanges(stage, "ping-pong", visitors: 64)
        case .churn: try await exchanges(stage, "churn", visitors: 16)
        case .idle: try await idle(stage)
        case .besideDownloads: try await beside(stage, streams: 4, [])
        case .besideUploads: try await beside(stage, streams: 4, ["--uploads"])
        case .besidePaced: try await beside(stage, streams: 4, ["--kilobytes-per-second", "15000"])
        case .besideStalled: try await besideStalled(stage)
        case .visitors: try await visitors(stage)
        case .proxied: try await proxied(stage)
        }
    }

    private var seconds: [String] { ["--seconds", "\(size.seconds)"] }

    private func bulk(_ stage: TrialEnvironment, streams: Int, _ options: [String]) async throws -> Measurement {
        let meter = CPUMeter(stage)
        let load = try stage.load("bulk", ["--streams", "\(streams)"] + seconds + options)
        let report = try await stage.report(of: load, after: size.seconds)
        var measurement = meter.measurement(bytes: report.bytes)
        measurement.add(report)
        measurement.values[.megabytesPerSecond] = Double(report.bytes) / report.seconds / 1e6
        return measurement
    }

    private func exchanges(_ stage: TrialEnvironment, _ name: String, visitors: Int) async throws -> Measurement {
        let meter = CPUMeter(stage)
        let load = try stage.load(name, ["--visitors", "\(visitors)"] + seconds)
        let report = try await stage.report(of: load, after: size.seconds)
        var measurement = meter.measurement(operations: report.operations)
        measurement.add(report)
        measurement.values[.operationsPerSecond] = Double(report.operations) / report.seconds
        return measurement
    }

    private func beside(_ stage: TrialEnvironment, streams: Int, _ options: [String]) async throws -> Measurement {
        let meter = CPUMeter(stage)
        let (bulk, exchanges) = try await company(stage, streams: streams, options)
        var measurement = meter.measurement(bytes: bulk.bytes)
        for report in [bulk, exchanges] { measurement.add(report) }
        measurement.values[.bulkMegabytesPerSecond] = Double(bulk.bytes) / bulk.seconds / 1e6
        return measurement
    }

    /// Measures a download and exchanges, first alone and then beside a visitor that never reads.
    private func besideStalled(_ stage: TrialEnvironment) async throws -> Measurement {
        // The first measurement is not counted, because later ones find warm caches.
        _ = try await company(stage, streams: 1, [])
        let (bulk, exchanges) = try await company(stage, streams: 1, [])
        let stalled = try await stage.report(of: stage.load("stalled", []))
        // Waits until every buffer on the path is full.
        try await Task.sleep(for: .seconds(1))
        var measurement = try await beside(stage, streams: 1, [])
        measurement.values[.medianBefore] = exchanges.median
        measurement.values[.bulkMegabytesPerSecondBefore] = Double(bulk.bytes) / bulk.seconds / 1e6
        measurement.faults += bulk.faults + exchanges.faults + stalled.faults
        return measurement
    }

    private func company(
        _ stage: TrialEnvironment,
        streams: Int,
        _ options: [String]
    ) async throws -> (bulk: LoadReport, exchanges: LoadReport) {
        let start = 0.5
        let whole = "\(size.seconds + 2 * start)"
        let bulk = try stage.load("bulk", ["--streams", "\(streams)", "--seconds", whole] + options)
        try await Task.sleep(for: .seconds(start))
        let exchanges = try await stage.report(of: stage.load("ping-pong", seconds), after: size.seconds)
        return (try await stage.report(of: bulk), exchanges)
    }

    private func proxied(_ stage: TrialEnvironment) async throws -> Measurement {
        let (meter, hops) = (CPUMeter(stage), stage.usageOfHops)
        // The kernel counts in units of 10 ms, and at this rate there are few.
        let long = 2 * size.seconds
        let load = try stage.load("bulk", ["--kilobytes-per-second", "50000", "--seconds", "\(long)"])
        let report = try await stage.report(of: load, after: long)
        var measurement = meter.measurement(bytes: report.bytes)
        let theirs = stage.usageOfHops.seconds - hops.seconds
        measurement.add(report)
        measurement.values[.megabytesPerSecond] = Double(report.bytes) / report.seconds / 1e6
        guard report.bytes > 0, theirs > 0 else { return measurement }
        measurement.values[.hopSecondsPerGigabyte] = theirs / Double(report.bytes) * 1e9
        measurement.values[.timesHops] = measurement.values[.processorSecondsPerGigabyte].map {
            $0 * Double(report.bytes) / 1e9 / theirs
        }
        return measurement
    }
}
