import Mux
import NIOCore

extension Moment {
    /// The event loops' monotonic clock; the protocol modules are told the time, they never ask.
    static var now: Moment { Moment(nanoseconds: NIODeadline.now().uptimeNanoseconds) }
}
