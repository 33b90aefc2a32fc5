/// A listener with a full queue. A connection gets neither SYN-ACK nor RST, as with a machine that is down.
public final class FullListener: Sendable {
    /// The port that does not answer.
    public let port: UInt16
    private let listener: TCPListener
    private let waiting: [TCPSocket]

    /// Fills the queue.
    public init() throws {
        listener = try TCPListener(queue: 0)
        port = listener.port
        var waiting: [TCPSocket] = []
        // The kernel accepts one or two connections more than the queue's limit.
        while waiting.count < 8, let socket = try? TCPSocket(port: port, timeout: .milliseconds(200)) {
            waiting.append(socket)
        }
        self.waiting = waiting
    }
}
