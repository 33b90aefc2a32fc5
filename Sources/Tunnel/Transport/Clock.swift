import Mux
import NIOCore

extension Moment {
    /// The event loops' monotonic clock; the protocol modules are told the time, they never ask.
    static var now: Moment { Moment(nanoseconds: NIODeadline.now().uptimeNanoseconds) }
}

extension Duration {
    /// Seconds with one decimal, for people: `0.5 s`.
    var inShort: String {
        let (seconds, attoseconds) = components
        return "\(seconds).\(abs(attoseconds / 100_000_000_000_000_000)) s"
    }
}
