import ArgumentParser
import Foundation

/// A visitor that downloads or uploads, and counts what has arrived at the other end within a time.
///
/// Bytes that are still on their way do not count, because a slow path drains deep buffers for long.
struct TimedBulkLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "timed-bulk", shouldDisplay: false)
    /// Seconds beyond the measured time for which the sender goes on.
    private static let reserve = 60.0

    @Option var address = loopback
    @Option var port: UInt16
    @Option var seconds: Double
    @Flag var uploads = false

    func run() throws {
        var report = LoadReport()
        let measured = uploads ? upload() : download()
        switch measured.verdict {
        // A stream without a byte does not work.
        case .complete where measured.bytes > 0: report.operations = 1
        case .wrong: report.wrong = 1
        case .complete, .broken: report.broken = 1
        }
        report.bytes = measured.bytes
        report.seconds = seconds
        try report.print()
    }

    private func download() -> (bytes: Int, verdict: PatternReceiver.Verdict) {
        let request = WorkloadRequest(kind: .download, milliseconds: Int((seconds + Self.reserve) * 1_000))
        guard let connection = Connection(address, port: port, waits: true), connection.sendAll(request.bytes) else {
            return (0, .broken)
        }
        defer { connection.close() }
        return PatternReceiver(connection: connection, stream: 0).run(until: Clock.seconds + seconds)
    }

    private func upload() -> (bytes: Int, verdict: PatternReceiver.Verdict) {
        let request = WorkloadRequest(kind: .timedUpload, milliseconds: Int(seconds * 1_000))
        guard let connection = Connection(address, port: port, waits: true), connection.sendAll(request.bytes) else {
            return (0, .broken)
        }
        connection.setReceiveTimeout(seconds: seconds + Self.reserve)
        Thread.detachNewThread { [reserve = Self.reserve] in
            _ = PatternSender(connection: connection, stream: 0).run(seconds: seconds + reserve)
        }
        let arrived = connection.receiveNumber()
        // The descriptor stays open for the sender, up to the end of the process.
        connection.cut()
        guard let arrived else { return (0, .broken) }
        return (arrived, arrived > 0 ? .complete : .wrong)
    }
}
