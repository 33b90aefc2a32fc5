import ArgumentParser

/// Many visitors at once, in phases; each ends with a report, and the next begins when the runner says so.
///
/// All come, and prove it by an echo; a burst on each, where one is wanted; one more echo on all at once; all go, until
/// the backend has none left.
struct CrowdLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "crowd", shouldDisplay: false)
    /// How many open their connections at once, and how many are in a burst at once.
    private static let opening = 128
    private static let bursting = 64
    /// How long a phase may take.
    private static let patience = 120.0

    @Option var port: UInt16
    /// The backend's own port, for its census.
    @Option var backend: UInt16
    @Option var visitors: Int
    /// Bytes of the burst on each; 0 for none.
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

    /// One exchange for each, so many at a time.
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
