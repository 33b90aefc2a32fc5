import Mux
import TunnelCore

/// The clocks that a server's sessions read. Tests advance clocks of their own.
struct ServerClock: Sendable {
    /// The event loops' monotonic clock.
    var now: @Sendable () -> Instant = { .now }
    /// The wall clock, in seconds since 1970.
    var unixSeconds: @Sendable () -> Int64 = { WallClock.unixSeconds }
}
