import TestSupport

/// Measures one system over one path once.
struct PathTrial: Sendable {
    /// Seconds of requests alone.
    private static let aloneSeconds = 3.0
    /// Seconds of the bulk transfer before the first request beside it, and after the last one.
    static let lead = 3.0
    static let tail = 1.0
    /// Seconds for a report after the duration of its load.
    private static let timeout = 90.0

    let system: PathSystem
    let shape: PathShape
    let settings: PathSettings
    /// The number of the round.
    let round: Int

    /// Starts everything, measures, and ends everything.
    func run() async throws -> PathMeasurement {
        let measured: PathMeasurement? = try await Scenario.run { scenario in
            do {
                return try await measure(in: scenario)
            } catch  where Task.isCancelled {
                // The output of the processes is not shown.
                return nil
            }
        }
        guard let measured else { throw CancellationError() }
        return measured
    }

    private func measure(in scenario: Scenario) async throws -> PathMeasurement {
        let network = try await PathNetwork(
            shape,
            congestionControl: settings.congestionControl,
            seed: settings.seed &+ UInt64(round),
            in: scenario
        )
        let backend = try network.start("backend", ["backend", "--address", "0.0.0.0"], on: .client)
        let line = try await backend.line { $0.hasPrefix(BackendCommand.announcement) }
        guard let port = UInt16(line.dropFirst(BackendCommand.announcement.count)) else {
            throw ScenarioFailure(description: "no port in: \(line)")
        }
        let tunnel = PathTunnel(
            system: system,
            network: network,
            throttle: settings.throttle,
            serverFlags: settings.serverFlags
        )
        let entrance = try await tunnel.start(before: port, in: scenario)
        let loads = Loads(network: network, entrance: entrance, requests: settings.requests)
        try await loads.waitForEcho()
        var measurement = Measurement()
        if settings.hasRequests {
            let alone = try await loads.report(of: loads.paced(seconds: Self.aloneSeconds), within: Self.timeout)
            measurement.add(alone, [.aloneMedian, .alonePercentile95, .alonePercentile99])
        }
        let bulk = try loads.bulk(seconds: settings.seconds, uploads: settings.uploads)
        if settings.hasRequests {
            try await Task.sleep(for: .seconds(Self.lead))
            let requests = try loads.paced(seconds: settings.seconds - Self.lead - Self.tail)
            let beside = try await loads.report(of: requests, within: settings.seconds + Self.timeout)
            measurement.add(beside, [.besideMedian, .besidePercentile95, .besidePercentile99])
        }
        let report = try await loads.report(of: bulk, within: settings.seconds + Self.timeout)
        measurement.faults += report.faults
        measurement.values[.megabitsPerSecond] = Double(report.bytes) * 8 / report.seconds / 1e6
        return PathMeasurement(measurement: measurement, packets: try await network.finish())
    }
}

/// The loads of a trial, on the server's host.
private struct Loads {
    let network: PathNetwork
    let entrance: PathTunnel.Entrance
    let requests: PacedRequests

    private var target: [String] { ["--address", entrance.address, "--port", "\(entrance.port)"] }

    /// Waits until the service answers.
    func waitForEcho() async throws {
        let visitor = try network.start("await-echo", ["load", "await", "--echoes"] + target, on: .server)
        guard try await visitor.exitStatus(within: .seconds(30)) == .exited(0) else {
            let state = entrance.processes.map(\.description).joined()
            throw ScenarioFailure(description: "no answer from the service within 20 s. \(state)")
        }
    }

    func paced(seconds: Double) throws -> ChildProcess {
        let options = ["--seconds", "\(seconds)", "--requests", requests.argument]
        return try network.start("paced", ["load", "paced"] + options + target, on: .server)
    }

    func bulk(seconds: Double, uploads: Bool) throws -> ChildProcess {
        let options = ["--seconds", "\(seconds)"] + (uploads ? ["--uploads"] : [])
        return try network.start("timed-bulk", ["load", "timed-bulk"] + options + target, on: .server)
    }

    func report(of load: ChildProcess, within seconds: Double) async throws -> LoadReport {
        try LoadReport(line: try await load.line(within: .seconds(seconds)) { $0.hasPrefix("{") })
    }
}

extension Measurement {
    /// Adds the times of requests in milliseconds, as these figures: median, 95th and 99th percentile.
    fileprivate mutating func add(_ report: LoadReport, _ figures: [Figure]) {
        faults += report.faults
        for (figure, value) in zip(figures, [report.median, report.percentile95, report.percentile99]) {
            if let value { values[figure] = value / 1_000 }
        }
    }
}
