import Crypto
import Foundation
import Synchronization
import TestSupport
import Testing

/// A visitor that sends random bytes to an echo service at some rate, and reads what comes back. At a rate of 0 it sends
/// a few, and rests.
final class EchoedCopy: Sendable {
    private struct State {
        var received = 0
        var isStopping = false
        var result: Result<(sent: [UInt8], received: [UInt8]), any Error>?
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared = Shared()

    init(through port: UInt16, bytesPerSecond: Int) {
        Thread.detachNewThread { [shared] in
            let result = Result { try Self.run(shared, TCPSocket(port: port, patience: .seconds(60)), bytesPerSecond) }
            shared.state.withLock { $0.result = result }
        }
    }

    private static func run(
        _ shared: Shared,
        _ socket: TCPSocket,
        _ rate: Int
    ) throws -> (sent: [UInt8], received: [UInt8]) {
        let digest = Mailbox<[UInt8]>()
        Thread.detachNewThread {
            var hash = SHA256()
            do {
                let start = ContinuousClock.now
                var sent = 0
                while !shared.state.withLock({ $0.isStopping }) {
                    let bytes = randomBytes(16_384)
                    hash.update(data: bytes)
                    try socket.send(bytes)
                    sent += bytes.count
                    while rate == 0, !shared.state.withLock({ $0.isStopping }) { Thread.sleep(forTimeInterval: 0.02) }
                    // The rate is what the test wants.
                    let due = start + .seconds(Double(sent) / Double(max(rate, 1)))
                    let wait = ContinuousClock.now.duration(to: due) / .seconds(1)
                    if rate > 0, wait > 0 { Thread.sleep(forTimeInterval: wait) }
                }
                // First, since the echo's end may overtake this thread.
                digest.put(Array(hash.finalize()))
                try socket.finishSending()
            } catch {
                socket.cut()
                digest.put([])
            }
        }
        var hash = SHA256()
        while true {
            let bytes = try socket.receive()
            if bytes.isEmpty { break }
            hash.update(data: bytes)
            shared.state.withLock { $0.received += bytes.count }
        }
        guard let sent = digest.all.first else {
            throw ScenarioFailure(description: "the echo ended before its source")
        }
        return (sent, Array(hash.finalize()))
    }

    /// Bytes that have come back.
    var received: Int { shared.state.withLock { $0.received } }

    /// Comes to an end; what came back must be what was sent.
    func expectWhole() async throws {
        shared.state.withLock { $0.isStopping = true }
        let (sent, received) = try await eventually("the copy ends", within: .seconds(60)) {
            try self.shared.state.withLock { try $0.result?.get() }
        }
        #expect(!sent.isEmpty && sent == received, "other bytes came back than were sent")
    }
}

/// A visitor that types: sends a byte, waits for its echo, and goes on.
final class Keystrokes: Sendable {
    private struct State {
        var count = 0
        var slowest = Duration.zero
        var isStopping = false
        var result: Result<Void, any Error>?
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared = Shared()

    init(through port: UInt16) {
        Thread.detachNewThread { [shared] in
            let result = Result {
                let socket = try TCPSocket(port: port, patience: .seconds(60))
                while !shared.state.withLock({ $0.isStopping }) {
                    let start = ContinuousClock.now
                    let key = UInt8.random(in: .min ... .max)
                    try socket.send([key])
                    let echo = try socket.receive(exactly: 1)
                    try demand(echo == [key], "\(echo) for \(key)")
                    shared.state.withLock { state in
                        state.count += 1
                        state.slowest = max(state.slowest, start.duration(to: .now))
                    }
                    // A quick typist.
                    Thread.sleep(forTimeInterval: 0.02)
                }
                socket.close()
            }
            shared.state.withLock { $0.result = result }
        }
    }

    var count: Int { shared.state.withLock { $0.count } }

    /// - Returns: the slowest echo.
    func finish() async throws -> Duration {
        shared.state.withLock { $0.isStopping = true }
        try await eventually("the last key is echoed", within: .seconds(60)) {
            try self.shared.state.withLock { try $0.result?.get() }
        }
        return shared.state.withLock { $0.slowest }
    }
}
