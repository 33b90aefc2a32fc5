import Mux
import NIOCore
import WebSocket

/// A carrier as its session sees it, on the session's own event loop: the carrier itself, or a bridge to one that lives
/// on another.
package protocol CarrierLink: AnyObject {
    /// Whether frames may be sent without piling up.
    var isWritable: Bool { get }
    /// When a byte last came, and when one last went.
    var lastBytes: CarrierTimes { get }
    /// The peer has proved itself: everything that comes from now on goes to `receiver`.
    func admit(_ receiver: any CarrierReceiver)
    /// Puts a frame on the WebSocket; it leaves with the next ``flush()``.
    func send(_ frame: OutboundFrame)
    /// Hands everything to the socket.
    func flush()
    /// Another carrier has taken its place: whatever it still brings, and its end, is nobody's business.
    func disown()
    /// Ends the WebSocket in order: Close, the peer's answer, then the connection.
    func close(_ code: CloseCode, reason: String)
    /// Ends the connection at once.
    func abort(_ reason: String)
}

/// When bytes went over a carrier.
package struct CarrierTimes {
    package var came = Instant.now
    package var went = Instant.now
}

/// A carrier that is gone, and what can be learnt from it.
package struct LostCarrier: Sendable {
    /// Why, in a line for the log.
    package let reason: String
    /// How long it had served.
    package let age: Duration
    /// How long it had been silent in both directions when it was cut, or when the question was asked that nobody
    /// answered.
    package let idle: Duration
    /// Seconds after which the peer, who had said that it is going away, wants to be asked again.
    package let retryAfter: UInt32?
}
