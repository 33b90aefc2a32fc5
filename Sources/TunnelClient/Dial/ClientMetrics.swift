import Metrics
import TunnelCore

/// The metrics of a client besides ``TunnelMetrics``.
enum ClientMetrics {
    /// The time between two pings of the present carrier.
    static let pingInterval = Meter(label: "culvert_ping_interval_seconds")

    private static let failedDials = Dictionary(
        uniqueKeysWithValues: DialError.Hop.allCases.map { hop in
            (hop, Counter(label: "culvert_failed_dials_total", dimensions: [("hop", hop.label)]))
        }
    )

    /// Counts a dial that led to no session.
    static func failedDial(_ hop: DialError.Hop) { failedDials[hop]?.increment() }

    /// Creates the counters of a client, so that they are 0 before the first event.
    static func prepare() {
        TunnelMetrics.prepare()
        _ = failedDials
    }
}

extension DialError.Hop {
    fileprivate var label: String {
        String(rawValue.lowercased().map { $0 == " " ? "_" : $0 })
    }
}
