import Dispatch
import Foundation
import Synchronization

/// Relays bytes between two sockets until both directions have ended, each with its half-close.
final class Relay: Sendable {
    private let idle: Duration?
    private let lastMoved = Mutex(ContinuousClock.now)

    /// - Parameter idle: the time without bytes in both directions after which both are cut; nil for no limit.
    init(idle: Duration? = nil) {
        self.idle = idle
    }

    /// Returns when both directions have ended.
    func run(_ one: TCPSocket, _ other: TCPSocket) {
        let isDone = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [self] in
            pass(one, to: other)
            isDone.signal()
        }
        pass(other, to: one)
        isDone.wait()
    }

    private func pass(_ source: TCPSocket, to sink: TCPSocket) {
        do {
            while let bytes = try next(source) { try sink.send(bytes) }
            try sink.finishSending()
        } catch {
            source.cut()
            sink.cut()
        }
    }

    /// Nil at the end.
    private func next(_ source: TCPSocket) throws -> [UInt8]? {
        while true {
            do {
                let bytes = try source.receive()
                lastMoved.withLock { $0 = .now }
                return bytes.isEmpty ? nil : bytes
            } catch SocketError.timedOut {
                let stillness = lastMoved.withLock { .now - $0 }
                if let idle, stillness >= idle { throw SocketError.timedOut }
            }
        }
    }
}
