import ArgumentParser

/// Visitors that connect, have one echo, and close; others take their places.
struct ChurnLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "churn", shouldDisplay: false)

    @Option var port: UInt16
    /// The number of visitors at a time.
    @Option var visitors: Int
    @Option var seconds: Double

    func run() throws {
        let crowd = EchoVisitors(visitors, port: port)
        var report = LoadReport()
        let began = Clock.seconds
        var last = began
        while last < began + seconds {
            for index in 0..<visitors {
                if crowd.isOpen(index), crowd.waiting(index) > Exchange.patience {
                    crowd.close(index)
                    report.broken += 1
                }
                if !crowd.isOpen(index), !crowd.open(index, bytes: Exchange.bytes) { report.broken += 1 }
            }
            crowd.turn { index, outcome, _ in
                report.count(outcome)
                crowd.close(index)
            }
            last = Clock.seconds
        }
        report.seconds = last - began
        try report.print()
    }
}
