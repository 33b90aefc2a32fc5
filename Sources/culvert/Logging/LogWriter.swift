import Dispatch
import Platform
import Synchronization

/// Writes lines to a descriptor on a thread of its own. Lines come from event loops, which must not wait for a disk or
/// for a reader that has stopped.
///
/// Lines that arrive within a short time share one write: 10 % more visitors than with a write for each line. At the
/// end of the process the remaining lines are written, within ``flushTimeout``. A crash loses the lines of the last 20
/// ms.
final class LogWriter: Sendable {
    /// The log of the process.
    static let standardError: LogWriter = {
        atexit { LogWriter.standardError.flush() }
        return LogWriter(descriptor: STDERR_FILENO)
    }()

    /// Facts for scripts, on standard output. Losses are reported in the log, because a script would take a note for a
    /// fact.
    static let standardOutput: LogWriter = {
        // `atexit` runs in reverse order, so the log, which reports losses, is registered first.
        _ = standardError
        atexit { LogWriter.standardOutput.flush() }
        return LogWriter(descriptor: STDOUT_FILENO, maximumWaiting: maximumFacts, reportsLossesInBand: false)
    }()

    /// The time that a line may wait for others. 20 ms: a person does not notice it.
    private static let gathering = DispatchTimeInterval.milliseconds(20)
    /// The limit of bytes that wait for the descriptor. 1 MiB: some thousand lines, for a slow disk or reader. Further
    /// lines are lost and counted.
    static let maximumWaiting = 1_048_576
    /// The limit of facts that wait for standard output. 64 KiB: some hundred lines, as much as a pipe holds.
    static let maximumFacts = 65_536
    /// Bytes of one write. 4 KiB: a pipe takes as much at once, so lines of other processes do not mix with ours.
    private static let chunk = 4_096
    /// The time that the end of the process waits for a descriptor that takes nothing.
    static let flushTimeout = Duration.seconds(1)

    private static let newline = UInt8(ascii: "\n")

    private struct Waiting {
        var bytes: [UInt8] = []
        /// Lines that were lost since the last report, for lack of room or by a failed write.
        var lost = 0
        /// Whether a write is scheduled, soon or at once.
        var isDue = false
        var isDueAtOnce = false
        /// Whether the last write ended within a line.
        var isCut = false
        /// All lines that were lost.
        var lostInAll = 0
        /// Receives the number of all lost lines, if losses are reported elsewhere.
        var onLoss: (@Sendable (Int) -> Void)?
        /// Makes the note about lost lines.
        var note: @Sendable (Int) -> [UInt8] = { Array("culvert: \($0) lines of the log were lost".utf8) }
    }

    private let descriptor: Int32
    private let maximumWaiting: Int
    private let reportsLossesInBand: Bool
    private let waiting = Mutex(Waiting())
    private let queue = DispatchQueue(label: "culvert.log")
    private let lostLines = Atomic(0)

    /// - Parameters:
    ///   - maximumWaiting: bytes that may wait for the descriptor.
    ///   - reportsLossesInBand: whether a note stands among the lines at the place of the missing ones.
    init(descriptor: Int32, maximumWaiting: Int = LogWriter.maximumWaiting, reportsLossesInBand: Bool = true) {
        self.descriptor = descriptor
        self.maximumWaiting = maximumWaiting
        self.reportsLossesInBand = reportsLossesInBand
    }

    /// All lines that were lost, reported or not.
    var lostInAll: Int { lostLines.load(ordering: .relaxed) }

    /// Sets the receiver of the number of lost lines, which is called at 1, 2, 4 lines and so on.
    func onLoss(_ report: @escaping @Sendable (Int) -> Void) {
        waiting.withLock { $0.onLoss = report }
    }

    /// Sets the form of the note about lost lines.
    func setLossNote(_ note: @escaping @Sendable (Int) -> [UInt8]) {
        waiting.withLock { $0.note = note }
    }

    /// Appends a line, which is written soon.
    ///
    /// - Parameter isUrgent: whether it is written at once, without waiting for others.
    func append(_ line: [UInt8], isUrgent: Bool = false) {
        // At most one write of each kind is scheduled, so that a blocked descriptor makes no work pile up.
        let (isNew, isNewlyUrgent) = waiting.withLock { waiting in
            guard waiting.bytes.count + line.count < maximumWaiting else {
                waiting.lost += 1
                lostLines.add(1, ordering: .relaxed)
                return (false, false)
            }
            waiting.bytes.append(contentsOf: line)
            waiting.bytes.append(Self.newline)
            let due = (!waiting.isDue, isUrgent && !waiting.isDueAtOnce)
            waiting.isDue = true
            if isUrgent { waiting.isDueAtOnce = true }
            return due
        }
        if !reportsLossesInBand { reportLosses() }
        if isNewlyUrgent {
            queue.async { self.write() }
        } else if isNew {
            queue.asyncAfter(deadline: .now() + Self.gathering) { self.write() }
        }
    }

    /// Writes to another file from now on, under the same descriptor. Lines that wait go to the old one.
    ///
    /// - Parameter new: the descriptor of the file, which is closed here.
    func replace(by new: Int32) {
        queue.async {
            self.write()
            _ = dup2(new, self.descriptor)
            _ = fcntl(self.descriptor, F_SETFD, FD_CLOEXEC)
            close(new)
        }
    }

    /// Waits until everything is written, at most for ``flushTimeout``.
    func flush() {
        let done = DispatchSemaphore(value: 0)
        queue.async {
            self.write()
            done.signal()
        }
        _ = done.wait(timeout: .now() + Self.flushTimeout / .seconds(1))
    }

    /// Adds the lines that were just lost to the total, and reports the total.
    private func reportLosses() {
        let (report, total) = waiting.withLock { waiting -> ((@Sendable (Int) -> Void)?, Int) in
            guard waiting.lost > 0 else { return (nil, 0) }
            let before = waiting.lostInAll
            waiting.lostInAll += waiting.lost
            waiting.lost = 0
            // Reported at each power of two, and not for each line.
            let isDue = before == 0 || before.leadingZeroBitCount != waiting.lostInAll.leadingZeroBitCount
            return (isDue ? waiting.onLoss : nil, waiting.lostInAll)
        }
        report?(total)
    }

    // MARK: On the queue

    private func write() {
        let now = waiting.withLock { waiting in
            let now = waiting
            waiting = Waiting(isCut: now.isCut, lostInAll: now.lostInAll, onLoss: now.onLoss, note: now.note)
            return now
        }
        var bytes = now.bytes
        // The lost lines would have followed these.
        if now.lost > 0, reportsLossesInBand { bytes += now.note(now.lost) + [Self.newline] }
        guard !bytes.isEmpty else { return }
        if now.isCut { bytes.insert(Self.newline, at: 0) }
        let rest = bytes[write(bytes)...]
        var lost = rest.count { $0 == Self.newline }
        // The note is last, and is not a line of the log.
        let losesNote = lost > 0 && now.lost > 0 && reportsLossesInBand
        lostLines.add(losesNote ? lost - 1 : lost, ordering: .relaxed)
        if losesNote { lost += now.lost - 1 }
        waiting.withLock { waiting in
            waiting.isCut = rest.startIndex == 0 ? now.isCut : bytes[rest.startIndex - 1] != Self.newline
            waiting.lost += lost
        }
        if !reportsLossesInBand { reportLosses() }
    }

    /// Writes whole lines as long as the descriptor takes them, and returns the number of bytes that it took.
    private func write(_ bytes: [UInt8]) -> Int {
        var done = 0
        while done < bytes.count {
            let next = bytes[done...]
            let end = next.prefix(Self.chunk).lastIndex(of: Self.newline) ?? next.firstIndex(of: Self.newline)
            let lines = next[...(end ?? bytes.count - 1)]
            let count = lines.withUnsafeBytes { Output.write($0, to: descriptor) }
            done += count
            if count < lines.count, !waitForRoom() { break }
        }
        return done
    }

    /// Waits for room if another process has made the descriptor non-blocking; false if the write has failed.
    private func waitForRoom() -> Bool {
        guard errno == EAGAIN else { return false }
        var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&state, 1, -1) > 0 && Int32(state.revents) & Int32(POLLOUT) != 0
    }
}
