import HTTP1
import Mux
import NIOSSL
import ProxyConnect
import TunnelAdmin
import TunnelCore
import WebSocket

/// Everything that a client has to be told.
public struct ClientConfiguration: Sendable {
    /// Servers, tried in order.
    public var endpoints: [EndpointURL]
    /// Where connections with servers lead, in place of each URL's host and port; nil for those.
    public var connectTo: ConnectAddress?
    /// The tunnels to publish.
    public var forwards: [TunnelSpec]
    /// The shared secret; nil for a server that runs without one.
    public var token: Token?
    /// Which of this user's clients on this machine it is, for the operator's logs; may be empty.
    public var name = ""
    /// A hash of machine, user and name, 32 bytes: the same after a restart, so that a port comes back.
    public var instance: [UInt8]
    /// The ways to each endpoint, in order; asked anew for each dial.
    ///
    /// - Throws: ``DialError`` or another error in words for a person; the dial is tried again later.
    public var proxies: @Sendable (EndpointURL) async throws -> [ProxyChoice] = { _ in [.direct] }
    /// Where the credentials for a proxy come from.
    public var proxyCredentials = ProxyCredentialSources()
    /// The schemes with which a proxy may be answered.
    public var proxySchemes = ProxyScheme.all
    /// Further fields of the CONNECT request.
    public var proxyFields = HeaderFields()
    /// Further fields of the upgrade request.
    public var fields = HeaderFields()
    /// Offers the server to compress (RFC 7692), without a window that outlives its message: streams of several visitors
    /// share the WebSocket, and lengths would tell one about another (CRIME).
    public var isCompressing = false
    /// Lets the windows of compression live from message to message, which packs better and gives that protection up; the
    /// server has to agree.
    public var sharesCompression = false
    /// Lets an event loop poll for the next interactive bytes, up to 60 µs, before it sleeps. A request then does not wait
    /// until a processor has woken up. It costs processor time, which is offered to other programs at each poll.
    public var pollsBusily = false
    /// What CONNECT and the upgrade say in User-Agent.
    public var userAgent = "culvert/\(culvertVersion)"
    /// The TLS that is spoken with servers whose endpoint is wss, and with what we prove ourselves to them. What it says
    /// about verification is not looked at.
    public var tls = TLSConfiguration.tunnelClient()
    /// The same for proxies whose URL is https.
    public var proxyTLS = TLSConfiguration.tunnelClient()
    /// The CAs to which certificates of servers and proxies must lead.
    public var trust = TLSTrust()
    /// Tries after a failed one before the client gives up; nil for ever.
    public var maximumRetries: Int?
    /// Ends the client at every refusal, also one by a server that has let this run in before.
    public var exitsOnRefusal = false
    /// When a carrier is replaced at the latest, for paths that cut old ones; nil to learn it from the path.
    public var maximumCarrierAge: Duration?
    /// The bounds of each session.
    public var limits = MuxLimits()
    /// All other bounds.
    public var clientLimits = ClientLimits()
    /// Where the operator's own HTTP is: metrics and health, and on a unix socket the status too; nil for nowhere.
    public var admin: ListenAddress?
    /// How long what runs may take to end once the client stops.
    public var drainTimeout: Duration = .seconds(30)

    /// Whether the upgrade request has a field of this name from us, so that ``fields`` may not.
    public static func isOwnField(_ name: String) -> Bool { ClientUpgrade.isReserved(name) }

    /// The defaults.
    public init(endpoints: [EndpointURL], forwards: [TunnelSpec], token: Token?, instance: [UInt8]) {
        self.endpoints = endpoints
        self.forwards = forwards
        self.token = token
        self.instance = instance
    }
}
