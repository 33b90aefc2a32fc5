import Dispatch
import Testing

@testable import culvert

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The log's way out, through a real pipe.
@Suite struct LogWriterTests {
    private let pipe: (read: Int32, write: Int32)

    init() throws {
        var ends: [Int32] = [0, 0]
        try #require(Self.open(&ends) == 0)
        pipe = (ends[0], ends[1])
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

    /// Reads on until the text ends so, or the pipe does.
    private func read(until end: String) -> String {
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while !text.suffix(end.utf8.count).elementsEqual(end.utf8) {
            let count = recv(&piece)
            guard count > 0 else { break }
            text += piece[..<count]
        }
        return String(decoding: text, as: UTF8.self)
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

    @Test("lines come whole and in order, urgent ones and others, and a flush leaves none behind")
    func order() {
        let log = LogWriter(descriptor: pipe.write)
        for number in 0..<1_000 { log.append("line \(number)", isUrgent: number % 100 == 7) }
        log.flush()
        close(pipe.write)
        #expect(read(until: "\u{0}") == (0..<1_000).map { "line \($0)\n" }.joined())
        close(pipe.read)
    }

    @Test("a line comes by itself, without a flush")
    func alone() {
        let log = LogWriter(descriptor: pipe.write)
        log.append("session opened")
        #expect(read(until: "\n") == "session opened\n")
        close(pipe.write)
        close(pipe.read)
    }

    /// The pipe holds far less than what is written, and nobody reads until all of it has been said.
    @Test("X15 a reader that has stopped stops nobody; what is held is bounded, and what is lost is told")
    func stopped() throws {
        let log = LogWriter(descriptor: pipe.write)
        let line = String(repeating: "x", count: 1_023)
        let count = 4 * LogWriter.mostWaiting / 1_024
        for _ in 0..<count { log.append(line, isUrgent: true) }
        let told = read(until: "took them\n")
        let lines = told.split(separator: "\n")
        let last = try #require(lines.last)
        let lost = try #require(Int(last.split(separator: " ")[1]))
        #expect(last == "culvert: \(lost) lines of the log were lost, because nothing took them")
        #expect(lines.count - 1 + lost == count)
        #expect(lines.dropLast().allSatisfy { $0 == line })
        // What is under way to the pipe, and as much again that waits for it.
        #expect(lines.count - 1 <= 2 * LogWriter.mostWaiting / 1_024 + 64)
        close(pipe.write)
        close(pipe.read)
    }
}
