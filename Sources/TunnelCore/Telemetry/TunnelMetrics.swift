import Metrics

/// The counters of both roles, for the program's backend of swift-metrics. Without one counting costs nothing.
///
/// Names follow Prometheus: counters end in `_total`, times are seconds. Gauges, and the bytes of streams that still
/// live, are brought up to date when the admin server is asked; the rest as it happens. No label's value comes from a
/// peer.
package enum TunnelMetrics {
    /// Sessions that were opened, at either end.
    package static let sessions = Counter(label: "culvert_sessions_total")
    /// Streams that have ended.
    package static let streams = Counter(label: "culvert_streams_total")
    /// Of these, the ones that ended by a reset.
    package static let resetStreams = Counter(label: "culvert_reset_streams_total")
    /// Bytes that visitors sent.
    package static let bytesToServices = Counter(
        label: "culvert_bytes_total",
        dimensions: [("direction", "to_service")]
    )
    /// Bytes that services sent.
    package static let bytesToVisitors = Counter(
        label: "culvert_bytes_total",
        dimensions: [("direction", "to_visitor")]
    )
    /// Carriers that were lost under a session that went on.
    package static let lostCarriers = Counter(label: "culvert_lost_carriers_total")
    /// Sessions that went on with another carrier.
    package static let resumes = Counter(label: "culvert_resumes_total")
    /// The time from each PING to its PONG.
    package static let roundTrip = Timer(label: "culvert_round_trip_seconds")

    /// Makes all counters of both roles exist, so that they are 0 before the first event.
    package static func prepare() {
        _ = (sessions, streams, resetStreams, bytesToServices, bytesToVisitors, roundTrip, lostCarriers, resumes)
    }
}
