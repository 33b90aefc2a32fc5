/// A loopback port whose queue is full: who connects gets neither an answer nor a refusal, as from a machine that is not
/// there.
public final class FullListener: Sendable {
    /// Where it does not answer.
    public let port: UInt16
    private let listener: TCPListener
    private let waiting: [TCPSocket]

    /// Fills the queue.
    public init() throws {
        listener = try TCPListener(queue: 0)
        port = listener.port
        var waiting: [TCPSocket] = []
        // The kernel takes one or two more than it was told.
        while waiting.count < 8, let socket = try? TCPSocket(port: port, patience: .milliseconds(200)) {
            waiting.append(socket)
        }
        self.waiting = waiting
    }
}
