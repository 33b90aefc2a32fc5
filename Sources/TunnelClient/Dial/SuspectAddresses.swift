import Mux
import NIOCore
import Synchronization

/// Remembers addresses that were connected and then failed. Dials try other addresses of the same name first.
final class SuspectAddresses: Sendable {
    /// The time for which an address is suspect. After 10 min a repaired server is as good as its neighbours.
    static let validity = Duration.seconds(600)
    /// Addresses that are remembered. Few names have more than a handful.
    static let maximum = 64

    private let until = Mutex<[SocketAddress: Instant]>([:])

    func contains(_ address: SocketAddress, now: Instant) -> Bool {
        until.withLock { until in until[address].map { $0 > now } ?? false }
    }

    func insert(_ address: SocketAddress, now: Instant) {
        until.withLock { until in
            if until.count >= Self.maximum { until = until.filter { $0.value > now } }
            guard until.count < Self.maximum || until[address] != nil else { return }
            until[address] = now + Self.validity
        }
    }

    func remove(_ address: SocketAddress) {
        until.withLock { $0[address] = nil }
    }
}
