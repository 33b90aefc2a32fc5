import Platform

/// A pipe to or from a child. Each of its descriptors is closed once, and neither is inherited by default.
final class ChildPipe {
    /// The reading end; -1 once it is closed.
    private(set) var reading: Int32 = -1
    /// The writing end; -1 once it is closed.
    private(set) var writing: Int32 = -1

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SpawnFailure(what: "a pipe", number: errno) }
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

    /// Writes as much as the pipe takes. The caller has checked that it is writable.
    ///
    /// - Returns: the remaining bytes; none if the other end is closed.
    func write(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        // A writable pipe takes this many bytes without blocking.
        let chunk = bytes.prefix(Int(PIPE_BUF))
        let count = chunk.withUnsafeBytes { Platform.write(writing, $0.baseAddress, $0.count) }
        guard count >= 0 else { return errno == EINTR ? bytes : [] }
        return bytes.dropFirst(count)
    }

    /// Reads the available bytes. The caller has checked that the pipe is readable. At the end of the data it is
    /// closed.
    func read() -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: 16_384)
        let count = chunk.withUnsafeMutableBytes { Platform.read(reading, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { return [] }
        guard count > 0 else {
            closeReading()
            return []
        }
        return Array(chunk[..<count])
    }
}

/// The system refused to start a child or to make its pipe.
struct SpawnFailure: Error, CustomStringConvertible {
    let what: String
    let number: Int32

    var description: String { "\(what) cannot be started: \(String(cString: strerror(number)))" }
}
