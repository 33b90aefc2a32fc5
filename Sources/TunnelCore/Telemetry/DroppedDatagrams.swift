import Metrics
import Mux
import Synchronization

/// Datagrams that were dropped, by reason: `culvert_dropped_datagrams_total`.
package struct DroppedDatagrams: Sendable {
    /// Why a datagram was dropped.
    package enum Reason: String, Sendable, CaseIterable {
        /// Its flow had too many waiting for the carrier.
        case count
        /// Its flow had too many bytes waiting for the carrier.
        case bytes
        /// It had waited too long for the carrier.
        case age
        /// All flows of the session together had too many bytes waiting.
        case session
        /// There was no carrier.
        case carrier
        /// The socket to which it was to go took no more, or was not made in time.
        case socket
        /// Its sender got no flow: there is no session, there are too many flows, it is refused, or its SOCKS header is
        /// malformed.
        case flows
        /// It was beyond the bandwidth of its client or tunnel.
        case rate
    }

    /// One reason's counter of the metrics, and its number for the operator's status.
    private final class Tally: Sendable {
        let counter: Counter
        let count = Atomic<Int>(0)

        init(_ counter: Counter) {
            self.counter = counter
        }
    }

    private let tallies: [Reason: Tally]

    init(factory: any MetricsFactory) {
        tallies = Dictionary(
            uniqueKeysWithValues: Reason.allCases.map { reason in
                let dimensions = [("reason", reason.rawValue)]
                return (
                    reason,
                    Tally(Counter(label: "culvert_dropped_datagrams_total", dimensions: dimensions, factory: factory))
                )
            }
        )
    }

    /// Counts datagrams.
    package func add(_ reason: Reason, _ count: Int = 1) {
        guard count > 0, let tally = tallies[reason] else { return }
        tally.counter.increment(by: count)
        tally.count.add(count, ordering: .relaxed)
    }

    /// The numbers by reason since the start; reasons without any are absent.
    package var counts: [String: Int] {
        tallies.reduce(into: [:]) { counts, entry in
            let count = entry.value.count.load(ordering: .relaxed)
            if count > 0 { counts[entry.key.rawValue] = count }
        }
    }

    /// Counts what a session has dropped since it was counted last.
    func add(_ now: DatagramDrops, since before: DatagramDrops) {
        add(.count, now.count - before.count)
        add(.bytes, now.bytes - before.bytes)
        add(.age, now.age - before.age)
        add(.session, now.session - before.session)
        add(.carrier, now.carrier - before.carrier)
    }
}
