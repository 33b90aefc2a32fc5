import Foundation

/// A pipe to or from a child: two descriptors, each closed once, and neither inherited unless it is asked for.
final class ChildPipe {
    /// Where it is read; -1 once that end is closed.
    private(set) var reading: Int32 = -1
    /// Where it is written; -1 once that end is closed.
    private(set) var writing: Int32 = -1

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Unstartable(what: "a pipe", number: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reading, writing) = (ends[0], ends[1])
    }

    deinit {
        closeReading()
        closeWriting()
    }

    func closeReading() {
        if reading >= 0 { close(reading) }
        reading = -1
    }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    /// Writes as much as goes in, once the end is known to be writable.
    ///
    /// - Returns: what is left; nothing when nobody reads any more.
    func write(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        // A pipe that is writable takes this many bytes without making us wait.
        let piece = bytes.prefix(Int(PIPE_BUF))
        let count = piece.withUnsafeBytes { Foundation.write(writing, $0.baseAddress, $0.count) }
        guard count >= 0 else { return errno == EINTR ? bytes : [] }
        return bytes.dropFirst(count)
    }

    /// Reads what is there, once the end is known to be readable; at its end, the end is closed.
    func read() -> [UInt8] {
        var piece = [UInt8](repeating: 0, count: 16_384)
        let count = piece.withUnsafeMutableBytes { Foundation.read(reading, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { return [] }
        guard count > 0 else {
            closeReading()
            return []
        }
        return Array(piece[..<count])
    }
}

/// A child that the system did not let us start.
struct Unstartable: Error, CustomStringConvertible {
    let what: String
    let number: Int32

    var description: String { "\(what) cannot be started: \(String(cString: strerror(number)))" }
}
