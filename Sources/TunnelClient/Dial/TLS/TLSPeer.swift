/// The other end of a TLS handshake of a dial.
enum TLSPeer: Sendable, Hashable {
    /// The server.
    case server
    /// The proxy.
    case proxy

    /// The hop of the handshake.
    var hop: DialError.Hop { self == .server ? .tls : .proxyTLS }
}
