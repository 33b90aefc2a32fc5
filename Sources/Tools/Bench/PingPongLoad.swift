import ArgumentParser

/// Visitors that send 64 bytes, wait for the echo, and send again.
struct PingPongLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ping-pong", shouldDisplay: false)

    @Option var port: UInt16
    @Option var visitors = 1
    @Option var seconds: Double

    func run() throws {
        let crowd = EchoVisitors(visitors, port: port)
        var report = LoadReport()
        var times: [UInt32] = []
        times.reserveCapacity(1 << 20)
        let began = Clock.seconds
        for index in 0..<visitors where !crowd.open(index, bytes: Exchange.bytes) { report.broken += 1 }
        var last = began
        while last < began + seconds {
            crowd.poll { index, outcome, seconds in
                report.count(outcome)
                guard outcome == .echoed else { return }
                times.append(UInt32(min(seconds * 1e9, Double(UInt32.max))))
                crowd.startExchange(index, bytes: Exchange.bytes)
            }
            last = Clock.seconds
        }
        // A visitor that has waited too long counts as broken, not as slow.
        report.broken += (0..<visitors).count { crowd.isOpen($0) && crowd.exchangeTime($0) > Exchange.timeout }
        report.seconds = last - began
        report.setPercentiles(of: times)
        try report.print()
    }
}

/// The constants of one exchange.
enum Exchange {
    /// Bytes that are sent and echoed.
    static let bytes = 64
    /// Seconds without the echo after which a visitor counts as broken.
    static let timeout = 3.0
}
