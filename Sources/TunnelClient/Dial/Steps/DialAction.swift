import NIOCore
import ProxyConnect
import WebSocket

/// An action of a dial: output of ``DialSteps``, to be performed in the given order.
enum DialAction: Sendable {
    /// Start this timer, in place of the one that runs.
    case startTimer(Timer)
    /// Write these bytes.
    case send(ByteBuffer)
    /// Report that the next bytes show the password to the network, unless TLS hides it.
    case passwordIsReadable
    /// Begin a handshake with this peer, and give it the bytes that have already arrived for it.
    case startTLS(TLSPeer, early: ByteBuffer)
    /// Get a token of the system's GSSAPI, made from these bytes of the proxy; nil for the first one.
    case fetchTicket(input: [UInt8]?)
    /// Remember that the proxy has opened the tunnel, and how.
    case proxyEstablished(ProxyPassage)
    /// Close this connection, connect to the same address again, and continue there with the same steps.
    case redial
    /// Give the connection to a WebSocket, with the bytes that have already arrived for it.
    case upgraded(Agreement, UpgradeAnswer, rest: ByteBuffer)
    /// Close the connection, and report its end.
    case close
    /// Close the connection: the dial has failed.
    case fail(DialFailure)

    /// The time that a step may take.
    enum Timer: Sendable, Equatable {
        /// The timeout of one hop, from now on.
        case hop
        /// The rest of the timeout of the exchange with the proxy, which began on an earlier connection.
        case exchange
    }
}
