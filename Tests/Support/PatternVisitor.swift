import Foundation
import Synchronization

/// Bytes that are right at one place of a stream alone.
public enum Pattern {
    private static let period = 131_071
    private static let bytes = {
        let once = randomBytes(period)
        return once + once.prefix(65_536)
    }()

    /// The bytes that repeat.
    public static var all: ArraySlice<UInt8> { bytes[..<period] }

    /// The bytes of a stream from an offset on, at most 65,536.
    public static func bytes(at offset: Int, count: Int) -> ArraySlice<UInt8> {
        bytes[offset % period..<offset % period + count]
    }

    /// A service that sends back what it receives, if it is right.
    public static func echo(wrong: Mailbox<String>) throws -> TCPService {
        try TCPService { socket in
            var offset = 0
            while true {
                let received = try socket.receive()
                if received.isEmpty { return }
                guard Pattern.bytes(at: offset, count: received.count).elementsEqual(received) else {
                    return wrong.put("wrong bytes came to the service at \(offset)")
                }
                offset += received.count
                try socket.send(received)
            }
        }
    }
}

/// A visitor that sends a pattern and requires it back, at a moderate speed.
public final class PatternVisitor: Sendable {
    /// The end of the stream.
    public enum Outcome: Sendable, Equatable {
        /// So many bytes went and came back, and FIN after them.
        case exact(Int)
        /// RST, or FIN before all bytes were back.
        case broken(after: Int)
        case wrong(at: Int)
    }

    private static let chunk = 700
    /// Chunks that are not back yet.
    private static let inFlight = 24

    /// The end of the stream, once it has ended.
    public let outcomes = Mailbox<Outcome>()
    private let socket: TCPSocket
    private let isStopped = Mutex(false)
    private let returned = Mutex(0)

    /// The port of this end.
    public let port: UInt16
    /// The bytes that have come back.
    public var bytes: Int { returned.withLock { $0 } }

    /// Connects to a port of loopback, and begins to send.
    public init(port: UInt16) throws {
        socket = try TCPSocket(port: port)
        self.port = socket.localPort
        // A semaphore may not end with a lower value than it has begun with.
        let room = DispatchSemaphore(value: 0)
        for _ in 0..<Self.inFlight { room.signal() }
        let (sent, hasSent) = (Mailbox<Int>(), DispatchSemaphore(value: 0))
        Thread.detachNewThread { [self] in
            var offset = 0
            do {
                while !isStopped.withLock({ $0 }) {
                    room.wait()
                    try socket.send(Array(Pattern.bytes(at: offset, count: Self.chunk)))
                    offset += Self.chunk
                }
                try socket.finishSending()
            } catch {
                // The receiving thread reports it.
            }
            sent.put(offset)
            hasSent.signal()
        }
        Thread.detachNewThread { [self] in
            let outcome = receive(room)
            isStopped.withLock { $0 = true }
            for _ in 0..<Self.inFlight { room.signal() }
            if case .exact(let count) = outcome {
                hasSent.wait()
                outcomes.put(sent.all == [count] ? outcome : .broken(after: count))
            } else {
                outcomes.put(outcome)
            }
        }
    }

    private func receive(_ room: DispatchSemaphore) -> Outcome {
        var (offset, signalled) = (0, 0)
        do {
            while true {
                let received = try socket.receive()
                if received.isEmpty { return .exact(offset) }
                guard Pattern.bytes(at: offset, count: received.count).elementsEqual(received) else {
                    return .wrong(at: offset)
                }
                offset += received.count
                returned.withLock { $0 = offset }
                while signalled + Self.chunk <= offset {
                    signalled += Self.chunk
                    room.signal()
                }
            }
        } catch {
            return .broken(after: offset)
        }
    }

    /// Sends no more, and waits for the rest.
    public func finish() async throws -> Outcome {
        isStopped.withLock { $0 = true }
        return try await outcomes.next("the visitor's stream has ended")
    }
}
