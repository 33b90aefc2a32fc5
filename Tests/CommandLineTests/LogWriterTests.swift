import Dispatch
import Platform
import Synchronization
import Testing

@testable import culvert

/// The log's way out, through a real pipe.
@Suite struct LogWriterTests {
    private let pipe: (read: Int32, write: Int32)

    init() throws {
        var ends: [Int32] = [0, 0]
        try #require(Self.open(&ends) == 0)
        pipe = (ends[0], ends[1])
    }

    private init(reading descriptor: Int32) {
        pipe = (descriptor, -1)
    }

    private static func open(_ ends: inout [Int32]) -> Int32 {
        #if canImport(Glibc)
        Glibc.pipe(&ends)
        #elseif canImport(Musl)
        Musl.pipe(&ends)
        #else
        Darwin.pipe(&ends)
        #endif
    }

    /// Reads lines for as long as `more` wants them, or until the pipe ends.
    private func readLines(_ more: (String) throws -> Bool) rethrows {
        var piece = [UInt8](repeating: 0, count: 65_536)
        var rest: [UInt8] = []
        while true {
            let count = recv(&piece)
            guard count > 0 else { return }
            rest += piece[..<count]
            var wantsMore = true
            while wantsMore, let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                wantsMore = try more(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeFirst(end + 1)
            }
            guard wantsMore else { return }
        }
    }

    /// Reads on until the text ends so, or the pipe ends.
    private func read(until end: String) -> String {
        var text = ""
        var piece = [UInt8](repeating: 0, count: 65_536)
        while !text.hasSuffix(end) {
            let count = recv(&piece)
            guard count > 0 else { break }
            text += String(decoding: piece[..<count], as: UTF8.self)
        }
        return text
    }

    private func recv(_ piece: inout [UInt8]) -> Int {
        #if canImport(Glibc)
        Glibc.read(pipe.read, &piece, piece.count)
        #elseif canImport(Musl)
        Musl.read(pipe.read, &piece, piece.count)
        #else
        Darwin.read(pipe.read, &piece, piece.count)
        #endif
    }

    @Test("urgent and other lines arrive whole and in order, and a flush leaves none")
    func order() {
        let log = LogWriter(descriptor: pipe.write)
        for number in 0..<1_000 { log.append(Array("line \(number)".utf8), isUrgent: number % 100 == 7) }
        log.flush()
        close(pipe.write)
        #expect(read(until: "\u{0}") == (0..<1_000).map { "line \($0)\n" }.joined())
        close(pipe.read)
    }

    @Test("a line is written without a flush")
    func alone() {
        let log = LogWriter(descriptor: pipe.write)
        log.append(Array("session opened".utf8))
        #expect(read(until: "\n") == "session opened\n")
        close(pipe.write)
        close(pipe.read)
    }

    /// The pipe holds far less than what is written, and nobody reads until all of it has been said. How often lines are
    /// lost hangs on when the writer begins.
    @Test("X15 a stopped reader does not stop the writer; the queue is bounded, and losses are reported in place")
    func stopped() throws {
        let log = LogWriter(descriptor: pipe.write)
        log.setLossNote { Array("lost \($0)".utf8) }
        let filling = String(repeating: "x", count: 1_017)
        let count = 4 * LogWriter.maximumWaiting / 1_024
        var appended = 0
        func append() {
            log.append(Array("\(100_000 + appended)\(filling)".utf8), isUrgent: true)
            appended += 1
        }
        for _ in 0..<count { append() }
        var (next, said) = (0, 0)
        try readLines { line in
            if line.hasPrefix("lost ") {
                next += try #require(Int(line.dropFirst(5)))
                // Behind each note comes a line, which shows whether its number was right.
                append()
                return true
            }
            try #require(line == "\(100_000 + next)\(filling)", "no line is missing without a word")
            next += 1
            said += 1
            return next < appended
        }
        // What is under way to the pipe, as much again that waits for it, and what the pipe itself holds.
        #expect(said <= 2 * LogWriter.maximumWaiting / 1_024 + 64)
        log.append(Array("last".utf8), isUrgent: true)
        #expect(read(until: "\n") == "last\n")
        close(pipe.write)
        close(pipe.read)
    }

    @Test(
        "facts that nothing reads do not stop the writer; they are bounded, and losses are reported elsewhere"
    )
    func facts() {
        let facts = LogWriter(descriptor: pipe.write, maximumWaiting: 4_096, reportsLossesInBand: false)
        let told = Mutex([Int]())
        facts.onLoss { count in told.withLock { $0.append(count) } }
        // A pipe takes 64 KiB; what is on its way to it, and what waits, is bounded.
        let line = Array(repeating: UInt8(ascii: "x"), count: 1_023)
        for _ in 0..<1_000 { facts.append(line, isUrgent: true) }
        let counts = told.withLock { $0 }
        #expect(counts.first == 1 && counts == counts.sorted() && counts.count <= 10, "\(counts)")
        #expect(counts.last.map { $0 >= 512 } == true, "\(counts)")
        // A byte at the end of the process waits for a second at most.
        let began = ContinuousClock.now
        facts.flush()
        #expect(.now - began < .seconds(5))
        var (whole, other) = (0, 0)
        readLines { text in
            guard text != "last" else { return false }
            if text == String(repeating: "x", count: 1_023) { whole += 1 } else { other += 1 }
            // Some of these find no room, too.
            facts.append(Array("last".utf8), isUrgent: true)
            return true
        }
        facts.flush()
        #expect(other == 0 && whole < 200, "no note stands among them: \(whole), \(other)")
        close(pipe.write)
        close(pipe.read)
    }

    @Test("a flush does not wait for ever for a pipe that takes nothing, and a pipe that fails loses no count")
    func failed() throws {
        let log = LogWriter(descriptor: pipe.write)
        log.setLossNote { Array("lost \($0)".utf8) }
        close(pipe.read)
        signal(SIGPIPE, SIG_IGN)
        log.append(Array("one".utf8))
        log.append(Array("two".utf8))
        log.flush()
        // Another pipe comes to stand where the old one was.
        var ends: [Int32] = [0, 0]
        try #require(Self.open(&ends) == 0)
        try #require(dup2(ends[1], pipe.write) >= 0)
        log.append(Array("three".utf8))
        log.flush()
        close(ends[1])
        close(pipe.write)
        let other = LogWriterTests(reading: ends[0])
        // The first lines' own turn may come before "three" does.
        #expect(["three\nlost 2\n", "lost 2\nthree\n"].contains(other.read(until: "\u{0}")))
        close(ends[0])
    }

    /// A descriptor that does not wait is what a shell or a parent may leave behind.
    @Test("a pipe that does not wait loses nothing while its reader is slow")
    func unwaiting() {
        _ = fcntl(pipe.write, F_SETFL, O_NONBLOCK)
        let log = LogWriter(descriptor: pipe.write)
        let line = String(repeating: "y", count: 1_023)
        for _ in 0..<500 { log.append(Array(line.utf8)) }
        log.append(Array("end".utf8), isUrgent: true)
        let lines = read(until: "end\n").split(separator: "\n")
        #expect(lines.count == 501)
        #expect(lines.dropLast().allSatisfy { $0 == line })
        close(pipe.write)
        close(pipe.read)
    }
}
