import Mux
import NIOCore
import Platform

extension Instant {
    /// The event loops' monotonic clock. The protocol modules get the time as a parameter.
    package static var now: Instant { Instant(nanoseconds: NIODeadline.now().uptimeNanoseconds) }
}

/// The wall clock.
package enum WallClock {
    /// Seconds since 1970.
    package static var unixSeconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }

    /// Milliseconds since 1970.
    package static var unixMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

extension Duration {
    /// Seconds with one decimal, for messages: `0.5 s`.
    package var inShort: String {
        let (seconds, attoseconds) = components
        return "\(seconds).\(abs(attoseconds / 100_000_000_000_000_000)) s"
    }
}
