import HTTP1
import Mux
import NIOSSL
import ProxyConnect
import Seal
import TunnelAdmin
import TunnelCore
import WebSocket

/// The configuration of a client.
public struct ClientConfiguration: Sendable {
    /// Servers, tried in order.
    public var endpoints: [EndpointURL]
    /// The address to dial in place of each URL's host and port; nil to dial those.
    public var connectTo: ConnectAddress?
    /// The tunnels to publish.
    public var tunnels: [TunnelSpec]
    /// The forwards: local ports whose connections the server makes.
    public var forwards: [ForwardSpec] = []
    /// What visitors of SOCKS tunnels may reach from this client; nothing by default.
    public var openDestinations: [DestinationRule] = []
    /// One stream for a socket of the program; the client ends with it.
    public var socketForward: SocketForward?
    /// Ends the client if the port of a forward cannot be bound, or that of a tunnel that was not public before in the
    /// run.
    public var exitsOnForwardFailure = false
    /// The shared secret; nil for a server that runs without one.
    public var token: Token?
    /// A name that distinguishes this user's clients on one machine in the operator's logs; may be empty.
    public var name = ""
    /// A hash of machine, user and name, 32 bytes, as ``ClientInstance`` makes it. It stays the same after a restart, so
    /// that the client gets its ports back.
    public var instance: [UInt8]
    /// Returns the proxies on the ways to an endpoint, in order; called before each dial. ``ProxySources`` has such a
    /// function for the environment, for named proxies and for proxy scripts.
    ///
    /// - Throws: ``DialError`` or another error in words for a person; the client then dials again later.
    public var proxies: @Sendable (EndpointURL) async throws -> [ProxyChoice] = { _ in [.direct] }
    /// The sources of the credentials for a proxy.
    public var proxyCredentials = ProxyCredentialSources()
    /// The schemes that a proxy's challenge may be answered with.
    public var proxySchemes = ProxyScheme.all
    /// Further fields of the CONNECT request.
    public var proxyFields = HeaderFields()
    /// Further fields of the upgrade request.
    public var fields = HeaderFields()
    /// Offers compression (RFC 7692), with a window for each message.
    ///
    /// Streams of several visitors share the WebSocket. With a common window, the lengths of one visitor's messages would
    /// reveal content of another's (CRIME).
    public var isCompressing = false
    /// Lets compression share its window between messages, which packs better and gives that protection up. The server
    /// has to agree.
    public var sharesCompression = false
    /// Lets an event loop poll for the next interactive bytes, up to 60 µs, before it sleeps.
    ///
    /// A request then does not wait until a processor has woken up. It costs processor time, which is offered to other
    /// programs at each poll.
    public var pollsBusily = false
    /// The User-Agent of CONNECT and of the upgrade.
    public var userAgent = "culvert/\(culvertVersion)"
    /// The TLS with wss servers, and the client's certificate there. Its settings for verification are
    /// not used.
    public var tls = TLSConfiguration.tunnelClient()
    /// The same for https proxies.
    public var proxyTLS = TLSConfiguration.tunnelClient()
    /// The CAs to which certificates of servers and proxies must lead.
    public var trust = TLSTrust()
    /// Whether sessions are sealed end to end. With `auto`, a session is not sealed only if the client dials a loopback
    /// address without a proxy.
    public var encryption = EncryptionPolicy.auto
    /// The keys of the servers, any of which is right; empty to take those of ``knownServers``.
    public var serverKeys: [ServerPublicKey] = []
    /// The keys of servers that the client has met before; nil to forget them with the run. It is not asked if there are
    /// ``serverKeys``.
    public var knownServers: KnownServers?
    /// Retries after a failed dial before the client gives up; nil for no limit.
    public var maximumRetries: Int?
    /// Ends the client at every refusal, also at one by a server that has accepted this run before.
    public var exitsOnRefusal = false
    /// The age at which a carrier is replaced at the latest, for paths that cut old ones; nil to learn it from the path.
    public var maximumCarrierAge: Duration?
    /// The number of carriers that each session has at a time.
    public var carriers = CarrierCount.automatic
    /// The servers of one cluster at which the client keeps sessions, each with the same tunnels: within
    /// ``serverCounts``. One with ``socketForward``, whatever is written here.
    public var servers = 1
    /// The ways that further carriers of a session take.
    public var carriersOver = CarrierSpread.same
    /// The limits of each session.
    public var limits = MuxLimits()
    /// All other limits.
    public var clientLimits = ClientLimits()
    /// The addresses of the admin server: metrics and health, and on a unix socket the status too; none by default.
    public var admin = AdminPlaces()
    /// The time that streams have to end once the client stops.
    public var drainTimeout: Duration = .seconds(30)

    /// The values of ``servers``. Four: each further session costs a connection, and two deaths at once are rare.
    public static let serverCounts = 1...4

    /// Whether the upgrade request has a field of this name from the client itself, so that ``fields`` may not.
    public static func isOwnField(_ name: String) -> Bool { ClientUpgrade.isReserved(name) }

    /// A configuration with defaults for the rest.
    public init(endpoints: [EndpointURL], tunnels: [TunnelSpec], token: Token?, instance: [UInt8]) {
        self.endpoints = endpoints
        self.tunnels = tunnels
        self.token = token
        self.instance = instance
    }
}
