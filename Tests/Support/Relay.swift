import Dispatch
import Foundation
import Synchronization

/// Relays bytes and half-closes between two sockets until both directions have ended.
final class Relay: Sendable {
    private let idle: Duration?
    private let lastTransfer = Mutex(ContinuousClock.now)

    /// - Parameter idle: the time without bytes in both directions after which both are cut; nil for no limit.
    init(idle: Duration? = nil) {
        self.idle = idle
    }

    /// Relays until both directions have ended.
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

    /// Receives the next bytes; nil at the end.
    private func next(_ source: TCPSocket) throws -> [UInt8]? {
        while true {
            do {
                let bytes = try source.receive()
                lastTransfer.withLock { $0 = .now }
                return bytes.isEmpty ? nil : bytes
            } catch SocketError.timedOut {
                let idleTime = lastTransfer.withLock { .now - $0 }
                if let idle, idleTime >= idle { throw SocketError.timedOut }
            }
        }
    }
}
