import Metrics
import TunnelCore

/// What a client counts beside ``TunnelMetrics``.
enum ClientMetrics {
    private static let failedDials = Dictionary(
        uniqueKeysWithValues: DialError.Hop.allCases.map { hop in
            (hop, Counter(label: "culvert_failed_dials_total", dimensions: [("hop", hop.label)]))
        }
    )

    /// A dial led to no session.
    static func failedDial(_ hop: DialError.Hop) { failedDials[hop]?.increment() }

    /// Makes all counters of a client exist, so that they are 0 before the first event.
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
