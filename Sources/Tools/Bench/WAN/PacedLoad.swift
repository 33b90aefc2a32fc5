import ArgumentParser
import Foundation

/// A visitor that sends 64 bytes at fixed times, also while echoes are missing, as calls and sensors do.
///
/// Each time counts from when the request was due to its echo. So a request that waits behind another one has the whole
/// wait.
struct PacedLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "paced", shouldDisplay: false)

    @Option var address = loopback
    @Option var port: UInt16
    @Option var seconds: Double
    @Option var interval = 0.1

    func run() throws {
        var report = LoadReport()
        var times: [UInt32] = []
        defer { try? report.print() }
        guard let connection = Connection(address, port: port, waits: true),
            connection.sendAll(WorkloadRequest(kind: .echo).bytes)
        else {
            report.broken = 1
            return
        }
        let start = Pattern.start(of: 0)
        // The first exchange sets the connection up, and does not count.
        guard send(start, on: connection), receive(start, on: connection) == .echoed else {
            report.broken = 1
            return
        }
        let count = Int((seconds / interval).rounded())
        let began = Clock.seconds
        Thread.detachNewThread {
            for number in 0..<count {
                Clock.sleep(until: began + Double(number) * interval)
                guard send(start + (number + 1) * Exchange.bytes, on: connection) else { return }
            }
        }
        for number in 0..<count {
            let outcome = receive(start + (number + 1) * Exchange.bytes, on: connection)
            let now = Clock.seconds
            let time = now - began - Double(number) * interval
            if outcome == .echoed {
                report.count(outcome)
                times.append(Self.nanoseconds(time))
            } else {
                report.count(outcome)
                // Requests without an echo have waited at least so long.
                times += (number..<count).map { Self.nanoseconds(now - began - Double($0) * interval) }
                break
            }
        }
        report.seconds = Clock.seconds - began
        report.setPercentiles(of: times)
    }

    private static func nanoseconds(_ seconds: Double) -> UInt32 {
        UInt32(min(max(seconds, 0) * 1e9, Double(UInt32.max)))
    }

    private func send(_ position: Int, on connection: Connection) -> Bool {
        Pattern.with(from: position) {
            connection.sendAll(Array(UnsafeRawBufferPointer(start: $0, count: Exchange.bytes)))
        }
            ?? false
    }

    private func receive(_ position: Int, on connection: Connection) -> EchoVisitors.Outcome {
        withUnsafeTemporaryAllocation(byteCount: Exchange.bytes, alignment: 8) { buffer in
            guard let bytes = buffer.baseAddress else { return .broken }
            var filled = 0
            while filled < Exchange.bytes {
                let count = connection.receive(bytes + filled, Exchange.bytes - filled)
                guard count > 0 else { return .broken }
                filled += count
            }
            return Pattern.matches(bytes, Exchange.bytes, at: position) ? .echoed : .wrong
        }
    }
}
