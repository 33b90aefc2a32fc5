import Foundation
import Platform
import Synchronization

/// The standard input of a process.
public enum StandardInput: Sendable {
    /// `/dev/null`.
    case empty
    /// A regular file, by its path.
    case file(String)
    /// A pipe that the test writes to.
    case pipe(InputPipe)
}

/// A pipe to the standard input of one process.
///
/// The test keeps the reading end too. So a write after the end of the process is no SIGPIPE for the test.
public final class InputPipe: Sendable {
    let readingEnd: Int32
    private let writingEnd: Int32
    private let isOpen = Mutex(true)
    private let timeout: Duration

    /// Creates a pipe.
    ///
    /// - Parameter timeout: the time after which a write without progress fails.
    public init(timeout: Duration = .seconds(60)) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SocketError.system(call: "pipe", errno: errno) }
        (readingEnd, writingEnd) = (ends[0], ends[1])
        self.timeout = timeout
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // The flag belongs to the writing end alone, so the process reads as usual.
        _ = fcntl(writingEnd, F_SETFL, O_NONBLOCK)
    }

    deinit {
        finish()
        close(readingEnd)
    }

    /// Writes all bytes.
    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(writingEnd, $0.baseAddress, $0.count) }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                try waitForRoom()
            } else if errno != EINTR {
                throw SocketError.system(call: "write", errno: errno)
            }
        }
    }

    /// Writes text.
    public func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    /// Ends the input of the process, which first reads the bytes in the pipe.
    public func finish() {
        isOpen.withLock { isOpen in
            if isOpen { close(writingEnd) }
            isOpen = false
        }
    }

    /// Whether the process has read all bytes.
    public var isDrained: Bool {
        var count: Int32 = 0
        return ioctl(readingEnd, UInt(FIONREAD), &count) == 0 && count == 0
    }

    private func waitForRoom() throws {
        var entry = pollfd(fd: writingEnd, events: Int16(POLLOUT), revents: 0)
        if poll(&entry, 1, Int32(timeout / .milliseconds(1))) == 0 { throw SocketError.timedOut }
    }
}
