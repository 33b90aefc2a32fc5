/// How often the peer does what costs us something: all of it is legal once, and an attack a thousand times.
struct PeerRateLimits {
    private var pings: SlidingWindow
    private var glitches: SlidingWindow
    private var bindings: SlidingWindow
    private var renewals = SlidingWindow(limit: MuxLimits.renewalsInTenSeconds)

    init(limits: MuxLimits) {
        pings = SlidingWindow(limit: limits.pingsInTenSeconds)
        glitches = SlidingWindow(limit: limits.glitchesInTenSeconds)
        bindings = SlidingWindow(limit: limits.bindsInTenSeconds)
    }

    /// Something odd, that a peer may do when frames cross on the wire.
    mutating func glitches(_ what: String, now: Instant) throws(MuxError) {
        guard glitches.record(now: now) else { throw MuxError(.flood, "too often: \(what)") }
    }

    /// A question that must be answered.
    mutating func pings(now: Instant) throws(MuxError) {
        guard pings.record(now: now) else { throw MuxError(.flood, "pings") }
    }

    /// A public port is asked for.
    mutating func binds(now: Instant) throws(MuxError) {
        guard bindings.record(now: now) else { throw MuxError(.flood, "binds") }
    }

    /// Another carrier is asked for.
    mutating func asksForRenewal(now: Instant) throws(MuxError) {
        guard renewals.record(now: now) else { throw MuxError(.flood, "wishes for a new carrier") }
    }

    /// Another carrier has come. Each begins with a question, and a path may cut two a second.
    mutating func beginsAnew() {
        pings = SlidingWindow(limit: pings.limit)
    }
}
