import ArgumentParser

/// Many visitors at once, in phases. Each phase ends with a report, and the runner starts the next.
///
/// All visitors connect and have an echo. A burst on each may follow. Then all have one more echo at once. At last all
/// close, and the phase ends when the backend has no connection left.
struct CrowdLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "crowd", shouldDisplay: false)
    /// The number of visitors that connect at once, and that are in a burst at once.
    private static let opening = 128
    private static let bursting = 64
    /// The timeout of a phase.
    private static let patience = 120.0

    @Option var port: UInt16
    /// The backend's port, to ask for its number of connections.
    @Option var backend: UInt16
    @Option var visitors: Int
    /// Bytes of the burst on each connection; 0 for no burst.
    @Option var burst = 0

    func run() throws {
        let crowd = EchoVisitors(visitors, port: port)
        try phase(crowd, width: Self.opening) { crowd.open($0, bytes: Exchange.bytes) }.print()
        PhaseSignal.wait()
        if burst > 0 {
            try phase(crowd, width: Self.bursting) { ask($0, of: crowd, bytes: burst) }.print()
            PhaseSignal.wait()
        }
        try phase(crowd, width: visitors) { ask($0, of: crowd, bytes: Exchange.bytes) }.print()
        PhaseSignal.wait()
        try close(crowd).print()
    }

    private func ask(_ index: Int, of crowd: EchoVisitors, bytes: Int) -> Bool {
        guard crowd.isOpen(index) else { return false }
        crowd.ask(index, bytes: bytes)
        return true
    }

    /// Runs one exchange for each visitor, with a number of them at a time.
    private func phase(_ crowd: EchoVisitors, width: Int, _ begin: (Int) -> Bool) -> LoadReport {
        var report = LoadReport()
        let began = Clock.seconds
        var (next, underWay) = (0, 0)
        while next < visitors || underWay > 0, Clock.seconds < began + Self.patience {
            while next < visitors, underWay < width {
                if begin(next) { underWay += 1 } else { report.broken += 1 }
                next += 1
            }
            crowd.turn { _, outcome, _ in
                report.count(outcome)
                underWay -= 1
            }
        }
        report.broken += underWay + visitors - next
        report.seconds = Clock.seconds - began
        return report
    }

    private func close(_ crowd: EchoVisitors) -> LoadReport {
        var report = LoadReport()
        let began = Clock.seconds
        for index in 0..<visitors { crowd.close(index) }
        var left = Int.max
        while left > 0, Clock.seconds < began + Self.patience {
            guard let connection = Connection(port: backend, waits: true) else { break }
            defer { connection.close() }
            guard connection.sendAll(WorkloadRequest(kind: .census).bytes), let count = connection.receiveNumber()
            else { break }
            left = count
            if left > 0 { Clock.sleep(until: Clock.seconds + 0.005) }
        }
        report.broken = left == .max ? visitors : left
        report.operations = visitors - report.broken
        report.seconds = Clock.seconds - began
        return report
    }
}
