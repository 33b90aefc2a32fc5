import Crypto
import Foundation
import Synchronization
import TestSupport
import Testing

/// Sends random bytes to an echo service as a visitor, and reads the echo. At a rate of 0 it sends one chunk and waits.
final class EchoedTransfer: Sendable {
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
            let result = Result { try Self.run(shared, TCPSocket(port: port, timeout: .seconds(60)), bytesPerSecond) }
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
                    // Keeps the average rate of the test.
                    let due = start + .seconds(Double(sent) / Double(max(rate, 1)))
                    let wait = ContinuousClock.now.duration(to: due) / .seconds(1)
                    if rate > 0, wait > 0 { Thread.sleep(forTimeInterval: wait) }
                }
                // Stored before the FIN, because the end of the echo may reach the reader before this thread goes on.
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
            throw ScenarioFailure(description: "the echo ended before the sender")
        }
        return (sent, Array(hash.finalize()))
    }

    /// The number of echoed bytes so far.
    var received: Int { shared.state.withLock { $0.received } }

    /// Ends the transfer, and expects that the echo equals the sent bytes.
    func expectIntact() async throws {
        shared.state.withLock { $0.isStopping = true }
        let (sent, received) = try await eventually("the transfer ends", within: .seconds(60)) {
            try self.shared.state.withLock { try $0.result?.get() }
        }
        #expect(!sent.isEmpty && sent == received, "the echo differs from the sent bytes")
    }
}
