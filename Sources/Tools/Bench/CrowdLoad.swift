import ArgumentParser

/// Many visitors at once, in phases. Each phase ends with a report, and the runner signals the next.
///
/// All visitors connect and have an echo. A burst on each may follow. Then all have another echo at once. Finally all
/// close, and the phase ends when the backend has no connection left.
struct CrowdLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "crowd", shouldDisplay: false)
    /// The numbers of visitors that connect at once, and that have a burst at once.
    private static let connectWidth = 128
    private static let burstWidth = 64
    /// The timeout of a phase.
    private static let timeout = 120.0

    @Option var port: UInt16
    /// The backend's port, to ask for its number of connections.
    @Option var backend: UInt16
    @Option var visitors: Int
    /// Bytes of the burst on each connection; 0 for no burst.
    @Option var burst = 0

    func run() throws {
        let crowd = EchoVisitors(visitors, port: port)
        try phase(crowd, width: Self.connectWidth) { crowd.open($0, bytes: Exchange.bytes) }.print()
        PhaseSignal.wait()
        if burst > 0 {
            try phase(crowd, width: Self.burstWidth) { startExchange($0, of: crowd, bytes: burst) }.print()
            PhaseSignal.wait()
        }
        try phase(crowd, width: visitors) { startExchange($0, of: crowd, bytes: Exchange.bytes) }.print()
        PhaseSignal.wait()
        try close(crowd).print()
    }

    private func startExchange(_ index: Int, of crowd: EchoVisitors, bytes: Int) -> Bool {
        guard crowd.isOpen(index) else { return false }
        crowd.startExchange(index, bytes: bytes)
        return true
    }

    /// Runs one exchange for each visitor, with a number of them at a time.
    private func phase(_ crowd: EchoVisitors, width: Int, _ begin: (Int) -> Bool) -> LoadReport {
        var report = LoadReport()
        let began = Clock.seconds
        var (next, inFlight) = (0, 0)
        while next < visitors || inFlight > 0, Clock.seconds < began + Self.timeout {
            while next < visitors, inFlight < width {
                if begin(next) { inFlight += 1 } else { report.broken += 1 }
                next += 1
            }
            crowd.poll { _, outcome, _ in
                report.count(outcome)
                inFlight -= 1
            }
        }
        report.broken += inFlight + visitors - next
        report.seconds = Clock.seconds - began
        return report
    }

    private func close(_ crowd: EchoVisitors) -> LoadReport {
        var report = LoadReport()
        let began = Clock.seconds
        for index in 0..<visitors { crowd.close(index) }
        var left = Int.max
        while left > 0, Clock.seconds < began + Self.timeout {
            guard let connection = Connection(port: backend, waits: true) else { break }
            defer { connection.close() }
            guard connection.sendAll(WorkloadRequest(kind: .connectionCount).bytes),
                let count = connection.receiveNumber()
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
