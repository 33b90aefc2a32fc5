import Mux
import NIOCore
import WebSocket

/// A carrier for its session, on the session's own event loop: the carrier itself, or a bridge to one on another loop.
package protocol CarrierLink: AnyObject {
    /// Whether frames may be sent without piling up.
    var isWritable: Bool { get }
    /// Unsent bytes that may wait below the session; nil for as many as the kernel takes.
    var unsentLimit: Int? { get set }
    /// Segments that the kernel has sent again; nil if that is not known.
    var retransmitted: UInt32? { get }
    /// When a byte last came, and when one last went.
    var lastBytes: CarrierTimes { get }
    /// The peer has proved itself: all further frames go to `receiver`.
    func admit(_ receiver: any CarrierReceiver)
    /// Puts a frame on the WebSocket; it leaves with the next ``flush()``.
    func send(_ frame: OutboundFrame)
    /// Ends the handshake: sends its last frame, behind which the carrier is sealed if the session is. Nothing that comes
    /// is taken between the two.
    func open(_ opening: CarrierOpening)
    /// Hands everything to the socket.
    func flush()
    /// Another carrier has taken its place: further frames and its end are ignored.
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

/// A lost carrier, with what the client learns from it about the path.
package struct LostCarrier: Sendable {
    /// The reason, in a line for the log.
    package let reason: String
    /// How long it had served.
    package let age: Duration
    /// How long it had been silent in both directions when it was cut, or when the PING was sent that had no answer.
    package let idle: Duration
    /// Seconds after which a peer that is going away asks the client to dial again.
    package let retryAfter: UInt32?

    package init(
        reason: String,
        age: Duration,
        idle: Duration,
        retryAfter: UInt32?,
        isClosedByPeer: Bool = false
    ) {
        self.reason = reason
        self.age = age
        self.idle = idle
        self.retryAfter = retryAfter
        self.isClosedByPeer = isClosedByPeer
    }
    /// Whether the peer has closed it in order.
    package var isClosedByPeer = false
}
