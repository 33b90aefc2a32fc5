import Foundation

/// A relay on a loopback port that passes a limited number of bytes a second in each direction of a connection, as a slow
/// path does. Its receive buffers are small, so that what it does not pass waits at the sender.
public final class RateRelay: Sendable {
    private static let receiveBuffer: Int32 = 32_768
    /// Bytes of one read; at most 7 ms of a path of 10 Mbit/s.
    private static let quantum = 8_192

    private let service: TCPService

    /// The port on which it listens.
    public var port: UInt16 { service.port }

    /// - Parameters:
    ///   - target: the port of the target.
    ///   - bytesPerSecond: the rate of one direction of a connection.
    public init(to target: UInt16, bytesPerSecond: Int) throws {
        service = try TCPService(receiveBuffer: Self.receiveBuffer) { near in
            let far = try TCPSocket(port: target, receiveBuffer: Self.receiveBuffer)
            let isDone = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                Self.pass(far, to: near, bytesPerSecond)
                isDone.signal()
            }
            Self.pass(near, to: far, bytesPerSecond)
            isDone.wait()
            far.close()
        }
    }

    private static func pass(_ source: TCPSocket, to sink: TCPSocket, _ bytesPerSecond: Int) {
        var due = ContinuousClock.now
        do {
            while true {
                let bytes = try source.receive(upTo: quantum)
                if bytes.isEmpty { return try sink.finishSending() }
                // Idle time is no credit for a burst.
                due = max(due, .now) + .seconds(Double(bytes.count) / Double(bytesPerSecond))
                let wait = ContinuousClock.now.duration(to: due) / .seconds(1)
                if wait > 0 { Thread.sleep(forTimeInterval: wait) }
                try sink.send(bytes)
            }
        } catch {
            source.cut()
            sink.cut()
        }
    }
}
