import Dispatch
import Platform
import Synchronization
import Testing

@testable import culvert

/// The writer of the log, with a real pipe.
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

    /// Reads lines until `more` returns false or the pipe ends.
    private func readLines(_ more: (String) throws -> Bool) rethrows {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var rest: [UInt8] = []
        while true {
            let count = recv(&chunk)
            guard count > 0 else { return }
            rest += chunk[..<count]
            var wantsMore = true
            while wantsMore, let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                wantsMore = try more(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeFirst(end + 1)
            }
            guard wantsMore else { return }
        }
    }

    /// Reads until the text ends with `end`, or the pipe ends.
    private func read(until end: String) -> String {
        var text = ""
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while !text.hasSuffix(end) {
            let count = recv(&chunk)
            guard count > 0 else { break }
            text += String(decoding: chunk[..<count], as: UTF8.self)
        }
        return text
    }

    private func recv(_ chunk: inout [UInt8]) -> Int {
        #if canImport(Glibc)
        Glibc.read(pipe.read, &chunk, chunk.count)
        #elseif canImport(Musl)
        Musl.read(pipe.read, &chunk, chunk.count)
        #else
        Darwin.read(pipe.read, &chunk, chunk.count)
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

    /// The pipe holds far less than the test writes, and the test reads only afterwards. The number of losses depends
    /// on when the writer begins.
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
        var (next, received) = (0, 0)
        try readLines { line in
            if line.hasPrefix("lost ") {
                next += try #require(Int(line.dropFirst(5)))
                // The line after each note shows whether its number was right.
                append()
                return true
            }
            try #require(line == "\(100_000 + next)\(filling)", "no line is missing without a note")
            next += 1
            received += 1
            return next < appended
        }
        // The bytes that are being written, as many that wait, and those that the pipe holds.
        #expect(received <= 2 * LogWriter.maximumWaiting / 1_024 + 64)
        log.append(Array("last".utf8), isUrgent: true)
        #expect(read(until: "\n") == "last\n")
        close(pipe.write)
        close(pipe.read)
    }

    @Test(
        "facts without a reader do not stop the writer; the queue is bounded, and losses are reported elsewhere"
    )
    func facts() {
        let facts = LogWriter(descriptor: pipe.write, maximumWaiting: 4_096, reportsLossesInBand: false)
        let reported = Mutex([Int]())
        facts.onLoss { count in reported.withLock { $0.append(count) } }
        // A pipe takes 64 KiB. The bytes that are being written and those that wait are bounded.
        let line = Array(repeating: UInt8(ascii: "x"), count: 1_023)
        for _ in 0..<1_000 { facts.append(line, isUrgent: true) }
        let counts = reported.withLock { $0 }
        #expect(counts.first == 1 && counts == counts.sorted() && counts.count <= 10, "\(counts)")
        #expect(counts.last.map { $0 >= 512 } == true, "\(counts)")
        // The flush at the end of the process waits for a second at most.
        let began = ContinuousClock.now
        facts.flush()
        #expect(.now - began < .seconds(5))
        var (whole, other) = (0, 0)
        readLines { text in
            guard text != "last" else { return false }
            if text == String(repeating: "x", count: 1_023) { whole += 1 } else { other += 1 }
            // Some of these are lost too.
            facts.append(Array("last".utf8), isUrgent: true)
            return true
        }
        facts.flush()
        #expect(other == 0 && whole < 200, "no note is among the lines: \(whole), \(other)")
        close(pipe.write)
        close(pipe.read)
    }

    @Test("a flush to a pipe that fails returns, and the next pipe gets the number of lost lines")
    func failed() throws {
        let log = LogWriter(descriptor: pipe.write)
        log.setLossNote { Array("lost \($0)".utf8) }
        close(pipe.read)
        signal(SIGPIPE, SIG_IGN)
        log.append(Array("one".utf8))
        log.append(Array("two".utf8))
        log.flush()
        // Another pipe replaces the old one.
        var ends: [Int32] = [0, 0]
        try #require(Self.open(&ends) == 0)
        try #require(dup2(ends[1], pipe.write) >= 0)
        log.append(Array("three".utf8))
        log.flush()
        close(ends[1])
        close(pipe.write)
        let other = LogWriterTests(reading: ends[0])
        // The note may be written before or after "three".
        #expect(["three\nlost 2\n", "lost 2\nthree\n"].contains(other.read(until: "\u{0}")))
        close(ends[0])
    }

    /// A shell or a parent process may leave a non-blocking descriptor.
    @Test("a non-blocking pipe loses no lines while its reader is slow")
    func nonBlocking() {
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
