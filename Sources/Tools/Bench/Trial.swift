import TestSupport

/// Runs one workload on one system once.
struct Trial: Sendable {
    let system: System
    let workload: Workload
    let size: Size

    /// Starts the system, measures, and stops it.
    func run() async throws -> Measurement {
        let measurement: Measurement? = try await Scenario.run { scenario in
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
        let environment = try await TrialEnvironment(system, workload, in: scenario)
        return switch workload {
        case .download: try await bulk(environment, streams: 1, [])
        case .upload: try await bulk(environment, streams: 1, ["--uploads"])
        case .downloads16: try await bulk(environment, streams: 16, [])
        case .uploads16: try await bulk(environment, streams: 16, ["--uploads"])
        case .pingPong: try await exchanges(environment, "ping-pong", visitors: 1)
        case .pingPong64: try await exchanges(environment, "ping-pong", visitors: 64)
        case .churn: try await exchanges(environment, "churn", visitors: 16)
        case .idle: try await idle(environment)
        case .besideDownloads: try await besideBulk(environment, streams: 4, [])
        case .besideUploads: try await besideBulk(environment, streams: 4, ["--uploads"])
        case .besidePaced: try await besideBulk(environment, streams: 4, ["--kilobytes-per-second", "15000"])
        case .besideStalled: try await besideStalled(environment)
        case .visitors: try await visitors(environment)
        case .proxied: try await proxied(environment)
        case .datagrams: try await datagrams(environment)
        }
    }

    private var seconds: [String] { ["--seconds", "\(size.seconds)"] }

    private func bulk(_ environment: TrialEnvironment, streams: Int, _ options: [String]) async throws -> Measurement {
        let meter = CPUMeter(environment)
        let load = try environment.load("bulk", ["--streams", "\(streams)"] + seconds + options)
        let report = try await environment.report(of: load, after: size.seconds)
        var measurement = meter.measurement(bytes: report.bytes)
        measurement.add(report)
        measurement.values[.megabytesPerSecond] = Double(report.bytes) / report.seconds / 1e6
        return measurement
    }

    private func exchanges(_ environment: TrialEnvironment, _ name: String, visitors: Int) async throws -> Measurement {
        let meter = CPUMeter(environment)
        let load = try environment.load(name, ["--visitors", "\(visitors)"] + seconds)
        let report = try await environment.report(of: load, after: size.seconds)
        var measurement = meter.measurement(operations: report.operations)
        measurement.add(report)
        measurement.values[.operationsPerSecond] = Double(report.operations) / report.seconds
        return measurement
    }

    private func datagrams(_ environment: TrialEnvironment) async throws -> Measurement {
        let meter = CPUMeter(environment)
        let load = try environment.load("datagrams", seconds)
        let report = try await environment.report(of: load, after: size.seconds)
        // Each echo is a datagram in both directions.
        let count = 2 * report.operations
        var measurement = meter.measurement(operations: count)
        measurement.add(report)
        measurement.values[.operationsPerSecond] = Double(count) / report.seconds
        // Microseconds for each one are tenths of a second for 100,000.
        measurement.values[.processorSecondsPerDatagrams] = measurement.values[.processorMicroseconds].map { $0 / 10 }
        return measurement
    }

    private func besideBulk(_ environment: TrialEnvironment, streams: Int, _ options: [String]) async throws
        -> Measurement
    {
        let meter = CPUMeter(environment)
        let (bulk, exchanges) = try await bulkAndExchanges(environment, streams: streams, options)
        var measurement = meter.measurement(bytes: bulk.bytes)
        for report in [bulk, exchanges] { measurement.add(report) }
        measurement.values[.bulkMegabytesPerSecond] = Double(bulk.bytes) / bulk.seconds / 1e6
        return measurement
    }

    /// Measures a download and exchanges, first alone and then beside a visitor that never reads.
    private func besideStalled(_ environment: TrialEnvironment) async throws -> Measurement {
        // The first measurement is not counted, because later ones find warm caches.
        _ = try await bulkAndExchanges(environment, streams: 1, [])
        let (bulk, exchanges) = try await bulkAndExchanges(environment, streams: 1, [])
        let stalled = try await environment.report(of: environment.load("stalled", []))
        // Waits until every buffer on the path is full.
        try await Task.sleep(for: .seconds(1))
        var measurement = try await besideBulk(environment, streams: 1, [])
        measurement.values[.medianBefore] = exchanges.median
        measurement.values[.bulkMegabytesPerSecondBefore] = Double(bulk.bytes) / bulk.seconds / 1e6
        measurement.faults += bulk.faults + exchanges.faults + stalled.faults
        return measurement
    }

    private func bulkAndExchanges(
        _ environment: TrialEnvironment,
        streams: Int,
        _ options: [String]
    ) async throws -> (bulk: LoadReport, exchanges: LoadReport) {
        let start = 0.5
        let whole = "\(size.seconds + 2 * start)"
        let bulk = try environment.load("bulk", ["--streams", "\(streams)", "--seconds", whole] + options)
        try await Task.sleep(for: .seconds(start))
        let exchanges = try await environment.report(of: environment.load("ping-pong", seconds), after: size.seconds)
        return (try await environment.report(of: bulk), exchanges)
    }

    private func proxied(_ environment: TrialEnvironment) async throws -> Measurement {
        let (meter, hops) = (CPUMeter(environment), environment.usageOfHops)
        // The kernel counts in units of 10 ms, and at this rate there are few.
        let long = 2 * size.seconds
        let load = try environment.load("bulk", ["--kilobytes-per-second", "50000", "--seconds", "\(long)"])
        let report = try await environment.report(of: load, after: long)
        var measurement = meter.measurement(bytes: report.bytes)
        let hopSeconds = environment.usageOfHops.seconds - hops.seconds
        measurement.add(report)
        measurement.values[.megabytesPerSecond] = Double(report.bytes) / report.seconds / 1e6
        guard report.bytes > 0, hopSeconds > 0 else { return measurement }
        measurement.values[.hopSecondsPerGigabyte] = hopSeconds / Double(report.bytes) * 1e9
        measurement.values[.timesHops] = measurement.values[.processorSecondsPerGigabyte].map {
            $0 * Double(report.bytes) / 1e9 / hopSeconds
        }
        return measurement
    }
}
