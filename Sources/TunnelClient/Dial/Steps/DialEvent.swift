import NIOCore
import ProxyConnect

/// An event of a dial: input of ``DialSteps``.
enum DialEvent: Sendable {
    /// TCP is connected.
    case connected
    /// Bytes arrived; after a TLS handshake they are decrypted.
    case received(ByteBuffer)
    /// The TLS handshake is complete.
    case secured
    /// The token for `fetchTicket`, or the reason why there is none.
    case ticket(Result<[UInt8], TicketFailure>)
    /// The TLS handshake failed.
    case tlsFailed(TLSHandshakeFailure)
    /// TLS ended with an error of its own, such as an alert. TLS 1.3 may send one after the handshake.
    case tlsBroke(TLSHandshakeFailure)
    /// The socket reported an error.
    case socketFailed
    /// The peer closed the connection, or reset it.
    case closed
    /// The timer that `startTimer` started has fired.
    case timedOut
}
