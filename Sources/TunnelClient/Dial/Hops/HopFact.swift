import ProxyConnect
import Seal

/// A hop of a dial that was passed, with what it has shown.
public struct HopFact: Sendable {
    /// What a hop has shown.
    public enum Content: Sendable {
        /// The lookup of the dialled name has led to these addresses.
        case lookedUp(name: String, addresses: [String])
        /// TCP is connected to this address.
        case connected(address: String)
        /// The proxy has opened the tunnel.
        case proxied(ProxyPassage)
        /// TLS is established with the proxy or with the server.
        case secured(TLSFacts)
        /// The server has answered the upgrade with 101.
        case upgraded(UpgradeAnswer)
        /// The server has proved itself: a session begins, or continues. `key`: the server's, if a session begins sealed.
        case session(software: String, key: ServerPublicKey?, isResumed: Bool)
    }

    /// TLS with one peer.
    public struct TLSFacts: Sendable {
        /// Whether the peer is the proxy.
        public var isProxy: Bool
        /// The name that the certificate is for.
        public var host: String
        /// Such as `TLS 1.3`.
        public var version: String
        /// The certificates that the peer has sent, its own first, as DER.
        public var certificates: [[UInt8]]
    }

    /// The step that was passed.
    public var hop: DialError.Hop
    /// What it has shown.
    public var content: Content
    /// The time since the step before.
    public var time: Duration

    /// A hop that was passed.
    init(_ content: Content, time: Duration) {
        self.content = content
        self.time = time
        hop =
            switch content {
            case .lookedUp: .lookup
            case .connected: .connect
            case .proxied: .proxy
            case .secured(let facts): facts.isProxy ? .proxyTLS : .tls
            case .upgraded: .upgrade
            case .session: .session
            }
    }
}

/// Receives the hops that a dial passes, on the event loop of the client's sessions.
public typealias HopObserver = @Sendable (HopFact) -> Void
