import Glibc

/// A connection to the backend: its request, and the bytes that it echoes.
final class EchoedConnection {
    /// The consequence for the poller.
    enum Turn {
        case unchanged
        /// The connection waits for the visitor's bytes.
        case receiving
        /// The connection waits until the visitor takes the echo, and does not read before.
        case sending
        /// The request was an echo.
        case begins
        /// The request was something else.
        case ordered(WorkloadRequest)
        case over
    }

    let connection: Connection
    private(set) var isEchoed = false
    private var head: [UInt8] = []
    private var unsent: [UInt8] = []

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// Reads and writes what is possible now.
    func turn(_ buffer: UnsafeMutableRawBufferPointer) -> Turn {
        guard let bytes = buffer.baseAddress else { return .over }
        if !unsent.isEmpty { return sendRest() }
        // Only the request is read, and the following bytes are left to its handler.
        let count = connection.receive(bytes, isEchoed ? buffer.count : WorkloadRequest.length - head.count)
        if count < 0, errno == EAGAIN { return .unchanged }
        guard count > 0 else { return .over }
        if isEchoed { return echo(bytes, count) }
        head += UnsafeRawBufferPointer(start: bytes, count: count)
        guard head.count == WorkloadRequest.length else { return .unchanged }
        guard let order = WorkloadRequest(head) else { return .over }
        guard order.kind == .echo else { return .ordered(order) }
        isEchoed = true
        return .begins
    }

    private func echo(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Turn {
        let sent = max(0, connection.send(bytes, count))
        guard sent < count else { return .unchanged }
        unsent = Array(UnsafeRawBufferPointer(start: bytes + sent, count: count - sent))
        return .sending
    }

    private func sendRest() -> Turn {
        let sent = unsent.withUnsafeBytes { rest in rest.baseAddress.map { connection.send($0, rest.count) } ?? 0 }
        if sent < 0 { return errno == EAGAIN ? .unchanged : .over }
        unsent.removeFirst(sent)
        return unsent.isEmpty ? .receiving : .unchanged
    }
}
