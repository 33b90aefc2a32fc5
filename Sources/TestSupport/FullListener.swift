import Foundation

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

    #if os(Linux)
    /// How many sockets are on their way to it and have had no answer.
    public func dials() throws -> Int {
        let here = "0100007F:" + String(format: "%04X", port)
        let isSynSent = "02"
        return try String(contentsOfFile: "/proc/net/tcp", encoding: .utf8).split(separator: "\n").count {
            let fields = $0.split(separator: " ")
            return fields.count > 3 && fields[2] == here && fields[3] == isSynSent
        }
    }
    #endif
}
