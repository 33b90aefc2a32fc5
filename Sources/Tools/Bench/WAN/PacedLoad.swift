import ArgumentParser
import Foundation

/// A visitor that sends some bytes at fixed times, also while echoes are missing, as calls and sensors do.
///
/// Each time counts from when the request was due to its echo. So a request that waits behind another one has the whole
/// wait.
struct PacedLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "paced", shouldDisplay: false)

    @Option var address = loopback
    @Option var port: UInt16
    @Option var seconds: Double
    @Option var requests = PacedRequests()

    func run() throws {
        var report = LoadReport()
        var times: [Int] = []
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
        let interval = Double(requests.milliseconds) / 1_000
        let count = Int((seconds / interval).rounded())
        let began = Clock.seconds
        Thread.detachNewThread {
            for number in 0..<count {
                Clock.sleep(until: began + Double(number) * interval)
                guard send(start + (number + 1) * requests.bytes, on: connection) else { return }
            }
        }
        for number in 0..<count {
            let outcome = receive(start + (number + 1) * requests.bytes, on: connection)
            let now = Clock.seconds
            let time = now - began - Double(number) * interval
            report.count(outcome)
            times.append(Self.nanoseconds(time))
            guard outcome == .echoed else {
                // The rest has waited at least so long.
                times += (number + 1..<count).map { Self.nanoseconds(now - began - Double($0) * interval) }
                break
            }
        }
        report.seconds = Clock.seconds - began
        report.setPercentiles(of: times)
    }

    private static func nanoseconds(_ seconds: Double) -> Int { Int(max(seconds, 0) * 1e9) }

    private func send(_ position: Int, on connection: Connection) -> Bool {
        Pattern.with(from: position) {
            connection.sendAll(Array(UnsafeRawBufferPointer(start: $0, count: requests.bytes)))
        }
            ?? false
    }

    private func receive(_ position: Int, on connection: Connection) -> EchoVisitors.Outcome {
        withUnsafeTemporaryAllocation(byteCount: requests.bytes, alignment: 8) { buffer in
            guard let bytes = buffer.baseAddress else { return .broken }
            var filled = 0
            while filled < requests.bytes {
                let count = connection.receive(bytes + filled, requests.bytes - filled)
                guard count > 0 else { return .broken }
                filled += count
            }
            return Pattern.matches(bytes, requests.bytes, at: position) ? .echoed : .wrong
        }
    }
}
