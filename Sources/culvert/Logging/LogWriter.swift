import Dispatch
import Platform
import Synchronization

/// The log's way to a descriptor, apart from whoever logs: a line comes from the thread that carries traffic, and must
/// wait neither for a disk nor for a reader who has stopped to read (X15).
///
/// Lines are gathered for a moment, and what has come together shares a write; a line for each visitor would cost a tenth
/// of all visitors otherwise. When the process ends, what is left is written, within ``farewell``; what a crash takes
/// with it is the last moment's.
final class LogWriter: Sendable {
    /// The log of the process.
    static let standardError: LogWriter = {
        atexit { LogWriter.standardError.flush() }
        return LogWriter(descriptor: STDERR_FILENO)
    }()

    /// Facts for scripts, on the process's standard output. What is lost is told in the log, since a script would take a
    /// note for a fact.
    static let standardOutput: LogWriter = {
        // What runs last at the exit was registered first: the log, which hears of losses.
        _ = standardError
        atexit { LogWriter.standardOutput.flush() }
        return LogWriter(descriptor: STDOUT_FILENO, mostWaiting: mostFacts, tellsLossesInBand: false)
    }()

    /// How long a line may wait for others. 20 ms: nobody who watches sees it.
    private static let gathering = DispatchTimeInterval.milliseconds(20)
    /// Bytes that may wait for the descriptor. 1 MiB: some thousands of lines, for a disk or a reader that is slow; what
    /// comes beyond that is lost, and counted.
    static let mostWaiting = 1_048_576
    /// Bytes of facts that may wait for standard output. 64 KiB: some hundred lines, as much again as a pipe holds.
    static let mostFacts = 65_536
    /// Bytes of one write. 4 KiB: as much as a pipe takes whole, so that no other process's line stands in one of ours.
    private static let chunk = 4_096
    /// How long the end of the process waits for a descriptor that takes nothing.
    static let farewell = Duration.seconds(1)

    private static let newline = UInt8(ascii: "\n")

    private struct Waiting {
        var bytes: [UInt8] = []
        /// Lines for which there was no room, or which the descriptor did not take.
        var lost = 0
        /// Somebody will come for the bytes, in a moment or at once.
        var isDue = false
        var isDueAtOnce = false
        /// The last write ended within a line.
        var isCut = false
        /// All lines that were lost so far.
        var lostInAll = 0
        /// What is told of all of them, where it is told elsewhere.
        var onLoss: (@Sendable (Int) -> Void)?
        /// What is said of lines that were lost.
        var note: @Sendable (Int) -> [UInt8] = { Array("culvert: \($0) lines of the log were lost".utf8) }
    }

    private let descriptor: Int32
    private let mostWaiting: Int
    private let tellsLossesInBand: Bool
    private let waiting = Mutex(Waiting())
    private let queue = DispatchQueue(label: "culvert.log")

    /// - Parameters:
    ///   - mostWaiting: bytes that may wait for the descriptor.
    ///   - tellsLossesInBand: whether a note stands among the lines where some are missing.
    init(descriptor: Int32, mostWaiting: Int = LogWriter.mostWaiting, tellsLossesInBand: Bool = true) {
        self.descriptor = descriptor
        self.mostWaiting = mostWaiting
        self.tellsLossesInBand = tellsLossesInBand
    }

    /// Sets what hears of lost lines: how many there are so far, at the first, the second, the fourth and so on.
    func onLoss(_ tell: @escaping @Sendable (Int) -> Void) {
        waiting.withLock { $0.onLoss = tell }
    }

    /// Sets the form in which lost lines are told.
    func tellLosses(_ note: @escaping @Sendable (Int) -> [UInt8]) {
        waiting.withLock { $0.note = note }
    }

    /// Appends a line, to be written within a moment.
    ///
    /// - Parameter isUrgent: it waits for no others.
    func append(_ line: [UInt8], isUrgent: Bool = false) {
        // What is due already is not made due again, so that a blocked descriptor makes nothing pile up.
        let (isNew, isNewlyUrgent) = waiting.withLock { waiting in
            guard waiting.bytes.count + line.count < mostWaiting else {
                waiting.lost += 1
                return (false, false)
            }
            waiting.bytes.append(contentsOf: line)
            waiting.bytes.append(Self.newline)
            let news = (!waiting.isDue, isUrgent && !waiting.isDueAtOnce)
            waiting.isDue = true
            if isUrgent { waiting.isDueAtOnce = true }
            return news
        }
        if !tellsLossesInBand { tellLosses() }
        if isNewlyUrgent {
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
        _ = done.wait(timeout: .now() + Self.farewell / .seconds(1))
    }

    /// Adds the lines that were lost just now to all of them, and tells of these elsewhere.
    private func tellLosses() {
        let (tell, total) = waiting.withLock { waiting -> ((@Sendable (Int) -> Void)?, Int) in
            guard waiting.lost > 0 else { return (nil, 0) }
            let before = waiting.lostInAll
            waiting.lostInAll += waiting.lost
            waiting.lost = 0
            // At each power of two, and not for each line.
            let isDue = before == 0 || before.leadingZeroBitCount != waiting.lostInAll.leadingZeroBitCount
            return (isDue ? waiting.onLoss : nil, waiting.lostInAll)
        }
        tell?(total)
    }

    // MARK: On the queue

    private func write() {
        let now = waiting.withLock { waiting in
            let now = waiting
            waiting = Waiting(isCut: now.isCut, lostInAll: now.lostInAll, onLoss: now.onLoss, note: now.note)
            return now
        }
        var bytes = now.bytes
        // Where there was no room for lines, they came behind these.
        if now.lost > 0, tellsLossesInBand { bytes += now.note(now.lost) + [Self.newline] }
        guard !bytes.isEmpty else { return }
        if now.isCut { bytes.insert(Self.newline, at: 0) }
        let rest = bytes[write(bytes)...]
        var lost = rest.count { $0 == Self.newline }
        // The note stands last, and is no line of the log itself.
        if lost > 0, now.lost > 0, tellsLossesInBand { lost += now.lost - 1 }
        waiting.withLock { waiting in
            waiting.isCut = rest.startIndex == 0 ? now.isCut : bytes[rest.startIndex - 1] != Self.newline
            waiting.lost += lost
        }
        if !tellsLossesInBand { tellLosses() }
    }

    /// Writes whole lines as long as the descriptor takes them, and says how many bytes it took.
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

    /// Where others have made the descriptor one that does not wait, we do; false where it has failed.
    private func waitForRoom() -> Bool {
        guard errno == EAGAIN else { return false }
        var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&state, 1, -1) > 0 && Int32(state.revents) & Int32(POLLOUT) != 0
    }
}
