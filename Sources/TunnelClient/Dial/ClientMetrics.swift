import Metrics
import TunnelCore

/// The metrics of a client besides ``TunnelMetrics``.
final class ClientMetrics: Sendable {
    private let pingInterval: Meter
    private let failedDials: [DialError.Hop: Counter]
    private let withoutCarrier: Meter
    private let nextDial: Meter
    let reloads: ReloadMetrics
    let certificates: CertificateMetrics

    /// Creates all of them, so that counters are 0 before the first event.
    init(factory: any MetricsFactory = MetricsSystem.factory) {
        pingInterval = Meter(label: "culvert_ping_interval_seconds", factory: factory)
        withoutCarrier = Meter(label: "culvert_without_carrier_seconds", factory: factory)
        nextDial = Meter(label: "culvert_next_dial_seconds", factory: factory)
        reloads = ReloadMetrics(factory: factory)
        certificates = CertificateMetrics(factory: factory)
        failedDials = Dictionary(
            uniqueKeysWithValues: DialError.Hop.allCases.map { hop in
                (
                    hop,
                    Counter(label: "culvert_failed_dials_total", dimensions: [("hop", hop.label)], factory: factory)
                )
            }
        )
    }

    /// Counts a dial that led to no session.
    func failedDial(_ hop: DialError.Hop) { failedDials[hop]?.increment() }

    /// Sets the time between two pings of the present carrier.
    func setPingInterval(_ interval: Duration) { pingInterval.set(interval / .seconds(1)) }

    /// Sets how long there has been no carrier, and the time until the next dial, in seconds.
    func publish(withoutCarrier seconds: Int64, nextDial wait: Int64) {
        withoutCarrier.set(seconds)
        nextDial.set(wait)
    }
}

extension DialError.Hop {
    fileprivate var label: String {
        String(rawValue.lowercased().map { $0 == " " ? "_" : $0 })
    }
}
