import Mux
import NIOCore
import Platform

extension Instant {
    /// The event loops' monotonic clock; the protocol modules are told the time, they never ask.
    package static var now: Instant { Instant(nanoseconds: NIODeadline.now().uptimeNanoseconds) }
}

/// The time that people and certificates know.
package enum WallClock {
    /// Seconds since 1970.
    package static var unixSeconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }
}

extension Duration {
    /// Seconds with one decimal, for people: `0.5 s`.
    package var inShort: String {
        let (seconds, attoseconds) = components
        return "\(seconds).\(abs(attoseconds / 100_000_000_000_000_000)) s"
    }
}
