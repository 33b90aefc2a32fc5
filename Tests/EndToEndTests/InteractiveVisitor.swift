import Foundation
import Synchronization
import TestSupport

/// Sends one byte at a time to an echo service as a visitor, and waits for each echo.
final class InteractiveVisitor: Sendable {
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
                let socket = try TCPSocket(port: port, timeout: .seconds(60))
                while !shared.state.withLock({ $0.isStopping }) {
                    let start = ContinuousClock.now
                    let byte = UInt8.random(in: .min ... .max)
                    try socket.send([byte])
                    let echo = try socket.receive(exactly: 1)
                    try require(echo == [byte], "\(echo) for \(byte)")
                    shared.state.withLock { state in
                        state.count += 1
                        state.slowest = max(state.slowest, start.duration(to: .now))
                    }
                    // The rate of fast typing.
                    Thread.sleep(forTimeInterval: 0.02)
                }
                socket.close()
            }
            shared.state.withLock { $0.result = result }
        }
    }

    /// The number of echoed bytes so far.
    var count: Int { shared.state.withLock { $0.count } }

    /// Ends the exchanges.
    ///
    /// - Returns: the time of the slowest echo.
    func finish() async throws -> Duration {
        shared.state.withLock { $0.isStopping = true }
        try await eventually("the last byte is echoed", within: .seconds(60)) {
            try self.shared.state.withLock { try $0.result?.get() }
        }
        return shared.state.withLock { $0.slowest }
    }
}
