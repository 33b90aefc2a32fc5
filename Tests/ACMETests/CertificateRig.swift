import ACME
import Foundation
import Logging
import Synchronization
import TestSupport

@testable import TunnelServer

/// A clock that a test sets. Pauses within an order pass at once; longer ones end when the test lets that time pass.
final class TestTime: Sendable {
    private let offset = Mutex<Int64>(0)
    /// The ends of the longer waits, as they begin.
    let waits = Mailbox<Int64>()
    private let start = Int64(Date().timeIntervalSince1970)

    var now: Int64 { start + offset.withLock { $0 } }

    func advance(by seconds: Int64) { offset.withLock { $0 += seconds } }

    var time: ACMECertificates.Time {
        ACMECertificates.Time(now: { self.now }) { end in
            if end - self.now <= 20 { self.advance(by: max(0, end - self.now)) }
            if end > self.now { self.waits.put(end) }
            while self.now < end { try await Task.sleep(for: .milliseconds(2)) }
        }
    }
}

/// Keeps the lines of a log.
struct LogMemory: LogHandler {
    let lines: Mailbox<String>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let values = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        lines.put("\(event.level) \(event.message) \(values.joined(separator: " "))")
    }
}

/// A running ``ACMECertificates`` with all that it has told.
final class CertificateRig: Sendable {
    let certificates: ACMECertificates
    let changes: Mailbox<String>
    let log: Mailbox<String>
    let time: TestTime
    private let task: Task<Void, Never>

    init(
        _ directory: String,
        storage: String,
        challenges: Set<ChallengeKind> = [.http01, .tlsALPN01],
        time: TestTime = TestTime()
    ) throws {
        let (changes, log) = (Mailbox<String>(), Mailbox<String>())
        let certificates = try ACMECertificates(
            ACMEConfiguration(directory: directory, email: "ops@example.com", storage: storage),
            logger: Logger(label: "acme") { _ in LogMemory(lines: log) },
            time: time.time,
            onChange: { changes.put($0) }
        )
        certificates.offer(challenges)
        (self.certificates, self.changes, self.log, self.time) = (certificates, changes, log, time)
        task = Task { await certificates.run() }
    }

    /// Ends it, as at the end of the process.
    func stop() async {
        task.cancel()
        await task.value
    }

    func status(_ name: String) -> CertificateStatus? { certificates.status.first { $0.name.text == name } }
}
