import Dispatch
import Platform
import Tunnel

/// Joins standard input and output to a socket of the process, with a thread for each direction.
///
/// The descriptors may be files and terminals, which event loops cannot wait for, and other processes share them, so they
/// are not made non-blocking.
final class StandardStreams: Sendable {
    /// Bytes that are read at a time.
    static let chunk = 65_536

    /// The socket for the client.
    let descriptor: Int32
    private let output = DispatchSemaphore(value: 0)

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Starts both threads.
    ///
    /// - Throws: ``Failure`` if the system has no socket left.
    static func start() throws(Failure) -> StandardStreams {
        var ends: [Int32] = [-1, -1]
        #if canImport(Glibc)
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        #elseif canImport(Musl)
        let type = SOCK_STREAM | SOCK_CLOEXEC
        #else
        let type = SOCK_STREAM
        #endif
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw Failure(.system, "no socket for standard input and output: \(String(cString: strerror(errno)))")
        }
        let (near, far) = (ends[0], ends[1])
        let streams = StandardStreams(descriptor: far)
        let isReading = DetachedThread.start {
            copy(from: STDIN_FILENO, to: near)
            shutdown(near, Int32(SHUT_WR))
        }
        let isWriting = DetachedThread.start {
            copy(from: near, to: STDOUT_FILENO)
            // The reader of standard output learns of the end at once, while standard input may go on.
            closeOutput()
            shutdown(near, Int32(SHUT_RD))
            streams.output.signal()
        }
        guard isReading, isWriting else {
            throw Failure(.system, "no thread for standard input and output: \(String(cString: strerror(EAGAIN)))")
        }
        return streams
    }

    /// Waits until standard output has what came before the end of the stream.
    func finish() {
        output.wait()
    }

    private static func copy(from source: Int32, to sink: Int32) {
        var buffer = [UInt8](repeating: 0, count: chunk)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(source, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            let isWritten = buffer.withUnsafeBytes { bytes in
                Output.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: sink) == count
            }
            guard isWritten else { return }
        }
    }

    private static func closeOutput() {
        let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
        if null >= 0 {
            dup2(null, STDOUT_FILENO)
            close(null)
        } else {
            close(STDOUT_FILENO)
        }
    }
}
