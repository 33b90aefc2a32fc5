import ArgumentParser
import Foundation
import Synchronization

/// Visitors that download or upload for a time, with or without a rate limit. Each has its own thread.
struct BulkLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bulk", shouldDisplay: false)

    @Option var port: UInt16
    @Option var streams = 1
    @Option var seconds: Double
    /// The rate of each download; 0 for no limit.
    @Option var kilobytesPerSecond = 0
    @Flag var uploads = false

    func run() throws {
        let total = Mutex(LoadReport())
        let began = Clock.seconds
        let done = DispatchGroup()
        for stream in 0..<streams {
            done.enter()
            Thread.detachNewThread {
                let (bytes, verdict) = uploads ? upload(stream) : download(stream)
                total.withLock { total in
                    total.bytes += bytes
                    switch verdict {
                    case .complete: total.operations += 1
                    case .wrong: total.wrong += 1
                    case .broken: total.broken += 1
                    }
                }
                done.leave()
            }
        }
        done.wait()
        var report = total.withLock { $0 }
        report.seconds = Clock.seconds - began
        try report.print()
    }

    private func download(_ stream: Int) -> (bytes: Int, verdict: PatternReceiver.Verdict) {
        let request = WorkloadRequest(
            kind: .download,
            stream: stream,
            milliseconds: Int(seconds * 1_000),
            kilobytesPerSecond: kilobytesPerSecond
        )
        guard let connection = Connection(port: port, waits: true), connection.sendAll(request.bytes) else {
            return (0, .broken)
        }
        defer { connection.close() }
        return PatternReceiver(connection: connection, stream: stream).run()
    }

    private func upload(_ stream: Int) -> (bytes: Int, verdict: PatternReceiver.Verdict) {
        guard let connection = Connection(port: port, waits: true),
            connection.sendAll(WorkloadRequest(kind: .upload, stream: stream).bytes)
        else { return (0, .broken) }
        defer { connection.close() }
        let sent = PatternSender(connection: connection, stream: stream).run(seconds: seconds)
        guard let sent, let arrived = connection.receiveNumber() else { return (0, .broken) }
        return (arrived, arrived == sent ? .complete : .wrong)
    }
}

/// A visitor that requests a download and does not read it.
struct StalledLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stalled", shouldDisplay: false)

    @Option var port: UInt16

    func run() throws {
        var report = LoadReport()
        let request = WorkloadRequest(kind: .download, stream: 900, milliseconds: 600_000)
        guard let connection = Connection(port: port, waits: true), connection.sendAll(request.bytes) else {
            report.broken = 1
            return try report.print()
        }
        try report.print()
        PhaseSignal.wait()
        connection.close()
    }
}
