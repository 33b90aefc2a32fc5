import Foundation
import Synchronization
import TestSupport

/// Sends datagrams with the time of their departure to a port, and records how old they are at a destination.
final class TimedDatagrams: Sendable {
    /// A datagram that arrived.
    struct Arrival: Sendable {
        /// The datagram's place among those that were sent.
        let number: Int
        let age: Duration
    }

    private struct State {
        var sent = 0
        var arrivals: [Arrival] = []
        var isStopping = false
        var hasStopped = false
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared = Shared()
    private let start = ContinuousClock.now

    /// - Parameters:
    ///   - program: the socket that sends.
    ///   - service: the socket of the destination; its timeout ends the recording.
    ///   - bytes: the length of each datagram, at least 16.
    ///   - interval: the time between two datagrams.
    init(from program: UDPSocket, through port: UInt16, to service: UDPSocket, bytes: Int, each interval: Duration) {
        Thread.detachNewThread { [shared, start] in
            var number = 0
            while !shared.state.withLock({ $0.isStopping }) {
                let sent = Int64(start.duration(to: .now) / .nanoseconds(1))
                var datagram = withUnsafeBytes(of: (Int64(number), sent)) { Array($0) }
                datagram += [UInt8](repeating: 0, count: bytes - datagram.count)
                try? program.send(datagram, to: port)
                number += 1
                shared.state.withLock { $0.sent = number }
                let wait = ContinuousClock.now.duration(to: start + interval * number) / .seconds(1)
                if wait > 0 { Thread.sleep(forTimeInterval: wait) }
            }
        }
        Thread.detachNewThread { [shared, start] in
            while let datagram = try? service.receive().bytes {
                let (number, sent) = datagram.withUnsafeBytes {
                    ($0.loadUnaligned(as: Int64.self), $0.loadUnaligned(fromByteOffset: 8, as: Int64.self))
                }
                let age = start.duration(to: .now) - .nanoseconds(sent)
                shared.state.withLock { $0.arrivals.append(Arrival(number: Int(number), age: age)) }
            }
            shared.state.withLock { $0.hasStopped = true }
        }
    }

    /// The number of datagrams so far.
    var sent: Int { shared.state.withLock { $0.sent } }

    /// The datagrams that have arrived so far.
    var arrivals: [Arrival] { shared.state.withLock { $0.arrivals } }

    /// Stops sending, and waits until nothing arrives any more.
    ///
    /// - Returns: all that have arrived.
    func finish() async throws -> [Arrival] {
        shared.state.withLock { $0.isStopping = true }
        try await eventually("nothing arrives any more", within: .seconds(60)) {
            self.shared.state.withLock { $0.hasStopped }
        }
        return arrivals
    }
}

extension [TimedDatagrams.Arrival] {
    /// The age that this share of the datagrams does not exceed.
    func age(of share: Double) -> Duration {
        let sorted = map(\.age).sorted()
        return sorted.isEmpty ? .zero : sorted[Swift.min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}
