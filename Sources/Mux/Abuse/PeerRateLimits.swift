/// Limits on how often the peer may do what costs this end work: each event is legal in small numbers.
struct PeerRateLimits {
    private var anomalies: SlidingWindow
    private var bindings: SlidingWindow
    private var renewals = SlidingWindow(limit: MuxLimits.renewalsInTenSeconds)

    init(limits: MuxLimits) {
        anomalies = SlidingWindow(limit: limits.glitchesInTenSeconds)
        bindings = SlidingWindow(limit: limits.bindsInTenSeconds)
    }

    /// Counts a tolerated anomaly, which a correct peer causes when frames cross on the wire.
    mutating func countAnomaly(_ event: String, now: Instant) throws(MuxError) {
        guard anomalies.record(now: now) else { throw MuxError(.flood, "too often: \(event)") }
    }

    /// Counts a BIND or a STATE.
    mutating func countTunnelFrame(_ event: String, now: Instant) throws(MuxError) {
        guard bindings.record(now: now) else { throw MuxError(.flood, event) }
    }

    /// Counts a RENEW.
    mutating func countRenewal(now: Instant) throws(MuxError) {
        guard renewals.record(now: now) else { throw MuxError(.flood, "requests for a new carrier") }
    }
}
