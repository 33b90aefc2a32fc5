import Glibc

/// A connection to the backend, with its request and the bytes to echo.
final class EchoedConnection {
    /// The result of an event.
    enum Step {
        case unchanged
        /// The connection waits for the visitor's bytes.
        case receiving
        /// The connection waits until the visitor reads the echo, and does not read meanwhile.
        case sending
        /// The request was an echo.
        case startsEcho
        /// The request was not an echo.
        case requested(WorkloadRequest)
        case ended
    }

    let connection: Connection
    private(set) var isEchoed = false
    private var head: [UInt8] = []
    private var unsent: [UInt8] = []

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// Reads and writes what is possible now.
    func advance(_ buffer: UnsafeMutableRawBufferPointer) -> Step {
        guard let bytes = buffer.baseAddress else { return .ended }
        if !unsent.isEmpty { return sendRest() }
        // Reads only the request, and leaves the following bytes to its handler.
        let count = connection.receive(bytes, isEchoed ? buffer.count : WorkloadRequest.length - head.count)
        if count < 0, errno == EAGAIN { return .unchanged }
        guard count > 0 else { return .ended }
        if isEchoed { return echo(bytes, count) }
        head += UnsafeRawBufferPointer(start: bytes, count: count)
        guard head.count == WorkloadRequest.length else { return .unchanged }
        guard let request = WorkloadRequest(head) else { return .ended }
        guard request.kind == .echo else { return .requested(request) }
        isEchoed = true
        return .startsEcho
    }

    private func echo(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Step {
        let sent = max(0, connection.send(bytes, count))
        guard sent < count else { return .unchanged }
        unsent = Array(UnsafeRawBufferPointer(start: bytes + sent, count: count - sent))
        return .sending
    }

    private func sendRest() -> Step {
        let sent = unsent.withUnsafeBytes { rest in rest.baseAddress.map { connection.send($0, rest.count) } ?? 0 }
        if sent < 0 { return errno == EAGAIN ? .unchanged : .ended }
        unsent.removeFirst(sent)
        return unsent.isEmpty ? .receiving : .unchanged
    }
}
