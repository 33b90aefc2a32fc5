import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The log's way to a descriptor, apart from whoever logs: a line comes from the thread that carries traffic, and must
/// wait neither for a disk nor for a reader who has stopped to read (X15).
///
/// Lines are gathered for a moment, and what has come together shares one write; a line for each visitor would cost a
/// tenth of all visitors otherwise. When the process ends, what is left is written, within ``farewell``; what a crash
/// takes with it is the last moment's.
final class LogWriter: Sendable {
    /// The log of the process.
    static let standardError: LogWriter = {
        atexit { LogWriter.standardError.flush() }
        return LogWriter(descriptor: STDERR_FILENO)
    }()

    /// How long a line may wait for others. 20 ms: nobody who watches sees it, and it makes 50 writes a second at most.
    private static let gathering = DispatchTimeInterval.milliseconds(20)
    /// Bytes that may wait for the descriptor. 1 MiB: some thousands of lines, for a disk or a reader that is slow; what
    /// comes beyond that is lost, and counted.
    static let mostWaiting = 1_048_576
    /// How long the end of the process waits for a descriptor that takes nothing.
    private static let farewell = DispatchTimeInterval.seconds(1)

    private struct Waiting {
        var bytes: [UInt8] = []
        /// Lines for which there was no room.
        var lost = 0
        /// Somebody will come for the bytes.
        var isDue = false
    }

    private let descriptor: Int32
    private let waiting = Mutex(Waiting())
    private let queue = DispatchQueue(label: "culvert.log")

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Appends a line, to be written within a moment.
    ///
    /// - Parameter isUrgent: it waits for no others.
    func append(_ line: String, isUrgent: Bool = false) {
        let isNew = waiting.withLock { waiting in
            guard waiting.bytes.count + line.utf8.count < Self.mostWaiting else {
                waiting.lost += 1
                return false
            }
            waiting.bytes.append(contentsOf: line.utf8)
            waiting.bytes.append(UInt8(ascii: "\n"))
            defer { waiting.isDue = true }
            return !waiting.isDue
        }
        if isUrgent {
            queue.async { self.write() }
        } else if isNew {
            queue.asyncAfter(deadline: .now() + Self.gathering) { self.write() }
        }
    }

    /// Waits until everything is written, or for ``farewell``.
    func flush() {
        let done = DispatchSemaphore(value: 0)
        queue.async {
            self.write()
            done.signal()
        }
        _ = done.wait(timeout: .now() + Self.farewell)
    }

    private func write() {
        let (bytes, lost) = waiting.withLock { waiting in
            defer { waiting = Waiting() }
            return (waiting.bytes, waiting.lost)
        }
        bytes.withUnsafeBytes { Output.write($0, to: descriptor) }
        if lost > 0 { append("culvert: \(lost) lines of the log were lost, because nothing took them") }
    }
}
