import NIOCore
import ProxyConnect

/// The first exchange of a connection, once TCP is connected, or once TLS with the proxy is established.
enum DialOpening: Sendable {
    /// None, since the server is reached without a proxy.
    case direct
    /// The exchange with an HTTP proxy.
    case connect(ConnectExchange)
    /// The next leg of an exchange that began on an earlier connection.
    case nextLeg(ConnectExchange, request: ByteBuffer)
    /// The exchange with a SOCKS proxy.
    case socks(SocksExchange)
}
