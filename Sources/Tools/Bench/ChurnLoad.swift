import ArgumentParser

/// Visitors that connect, have one echo, and close. A new visitor replaces each one.
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
                if crowd.isOpen(index), crowd.exchangeTime(index) > Exchange.timeout {
                    crowd.close(index)
                    report.broken += 1
                }
                if !crowd.isOpen(index), !crowd.open(index, bytes: Exchange.bytes) { report.broken += 1 }
            }
            crowd.poll { index, outcome, _ in
                report.count(outcome)
                crowd.close(index)
            }
            last = Clock.seconds
        }
        report.seconds = last - began
        try report.print()
    }
}
