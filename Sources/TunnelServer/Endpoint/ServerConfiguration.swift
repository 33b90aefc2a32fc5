import HTTPRelay
import Mux
import NIOSSL
import NetworkAddress
import Seal
import TunnelAdmin
import TunnelCore

/// The configuration of a server.
public struct ServerConfiguration: Sendable {
    /// The addresses of the endpoint.
    public var listen: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 8080)]
    /// The users that may connect to sockets in the file system.
    public var listenAccess = UnixSocketAccess()
    /// Listening sockets that the service manager has opened. If there are any, they replace `listen`.
    public var openSockets: [Int32] = []
    /// The endpoint's path. Requests for other paths go to the backend.
    public var path = "/tunnel"
    /// The address on which public ports are bound; nil for all addresses.
    public var publicAddress: String?
    /// The ports that clients may request.
    public var allowedPorts = PortRanges.unprivileged
    /// The folder in which clients may have Unix sockets; nil for none.
    public var unixDirectory: String?
    /// The users who may connect to clients' Unix sockets. Its owner alone, unless configured.
    public var unixAccess = UnixSocketAccess.ownersOnly
    /// The destinations that a client without an entry of its own may reach: that of a token for the whole server, or any
    /// client of a server without a token. None by default.
    public var destinations: [DestinationRule] = []
    /// The host names that a client without an entry of its own may have. None by default.
    public var names: [NamePattern] = []
    /// The addresses on which requests for host names are relayed.
    public var httpListen: [ListenAddress] = []
    /// The addresses on which TLS for host names is accepted, and passed through or terminated.
    public var httpsListen: [ListenAddress] = []
    /// The domain of names without a dot; nil if each name must be complete.
    public var httpDomain: PublicName?
    /// The certificates of names that are terminated here.
    public var certificates: [TLSConfiguration] = []
    /// How certificates of names come from a CA; nil if all are configured.
    public var acme: ACMEConfiguration?
    /// The cluster that the server belongs to; nil for a server alone.
    public var cluster: ClusterConfiguration?
    /// Whether requests without TLS for a name that has a certificate are answered with a redirect.
    public var redirectsToHTTPS = false
    /// The host under which the endpoint's path is the endpoint's own on the addresses of names; nil for every host that is
    /// no public name.
    public var endpointHost: PublicName?
    /// The limits of visitors. A client's entry may replace them, and a client may ask for stricter ones.
    public var visitors = VisitorLimits()
    /// The clients that may connect. An empty list admits all, and requires that every address in `listen` is local.
    public var clients: [ClientRights] = []
    /// The web server for requests that are not for the endpoint; nil to answer them with 404.
    public var backend: Backend?
    /// The fronts that may name a connection's origin: by X-Forwarded-For, by Forwarded, or by a PROXY header before the
    /// request.
    public var trustedFronts = TrustedFronts()
    /// Whether these fronts also relay to the public ports. Each of their connections must then begin with a PROXY header.
    /// Connections from other addresses need none.
    public var hasFrontsOnPublicPorts = false
    /// The origins of browser pages that may connect. None by default, because the client is not a browser.
    public var allowedOrigins: [String] = []
    /// Whether a client's compression window may span messages.
    ///
    /// Messages may carry bytes of different visitors, and the length of one then reveals something about another (CRIME).
    /// Only for tunnels whose visitors trust each other.
    public var sharesCompression = false
    /// Whether an event loop polls for the next interactive bytes before it sleeps, for up to 60 µs.
    ///
    /// A request then does not wait for a processor to wake up. Polling costs processor time; each poll offers it to other
    /// programs first.
    public var pollsBusily = false
    /// The certificate and key, if the server speaks TLS itself.
    public var tls: TLSConfiguration?
    /// The CAs that must have issued the clients' certificates; nil if clients need no certificate.
    public var clientTrust: TLSTrust?
    /// Whether sessions are sealed end to end. A server without ``serverKey`` cannot seal one.
    public var encryption = EncryptionPolicy.auto
    /// The key by which clients know the server, and with which sessions are sealed; nil for none.
    public var serverKey: ServerKey?

    /// The key with which sessions are sealed; nil if none is.
    var sealingKey: ServerKey? { encryption == .off ? nil : serverKey }

    /// The limits of each session.
    public var limits = MuxLimits()
    /// All other limits.
    public var serverLimits = ServerLimits()
    /// The addresses of the admin server; none by default. It serves metrics and health, and on a unix socket also status.
    public var admin = AdminPlaces()
    /// Whether sessions that begin have metrics with the name of their client as a label. The names are open to every reader
    /// of the metrics.
    public var labelsMetricsByClient = false
    /// Time for streams to finish after the server begins to stop.
    public var drainTimeout: Duration = .seconds(30)

    /// The defaults.
    public init() {}

    /// Whether the server runs without a token.
    public var isOpen: Bool { clients.isEmpty }

    /// Whether any client may have Unix sockets.
    public var hasUnixDirectory: Bool { unixDirectory != nil || clients.contains { $0.unixDirectory != nil } }

    /// The addresses of the endpoint that are not addresses of names as well.
    var ownListen: [ListenAddress] {
        listen.filter { !$0.isShared(with: httpListen) && !$0.isShared(with: httpsListen) }
    }

    /// Whether the endpoint shares an address with names over TLS.
    var sharesSecureAddress: Bool { listen.contains { $0.isShared(with: httpsListen) } }

    /// The addresses of a public port, unless the client narrows them.
    var publicAddresses: [String] {
        if let publicAddress { return publicAddress == "localhost" ? ["127.0.0.1", "::1"] : [publicAddress] }
        return isOpen ? ["127.0.0.1", "::1"] : ["0.0.0.0", "::"]
    }

    /// Whether public ports are on loopback, unless a client asks for other addresses.
    var isPublicAddressLoopback: Bool { publicAddresses.allSatisfy { IPAddress($0)?.isLoopback == true } }

    /// A fault in a configuration with which the server does not start.
    public struct Problem: Sendable, CustomStringConvertible {
        /// The key with the fault.
        public let key: String
        /// The fault in one line.
        public let description: String
        /// Whether the fault is a missing token.
        public var isAboutMissing = false
    }

    /// The first fault; nil if the server starts with this configuration.
    public var problem: String? { problems.first?.description }

    /// All faults with which the server does not start.
    ///
    /// A server without a token gives its ports to every peer, so it must not be reachable from other machines.
    public var problems: [Problem] {
        var problems: [Problem] = []
        if listen.isEmpty { problems.append(Problem(key: "listen", description: "no address to listen on")) }
        if isOpen, let reachable = listen.first(where: { !$0.isLocal }) {
            let text =
                "refusing to listen on \(reachable) without a token, because every peer could open ports on this "
                + "machine; give --token-file, or listen on 127.0.0.1"
            problems.append(Problem(key: "listen", description: text, isAboutMissing: true))
        }
        for (key, addresses) in [("http_listen", httpListen), ("https_listen", httpsListen)] where isOpen {
            guard let reachable = addresses.first(where: { !$0.isLocal }) else { continue }
            let text =
                "refusing to publish host names on \(reachable) without a token, because every program on this machine "
                + "could publish one; give --token-file, or listen on 127.0.0.1"
            problems.append(Problem(key: key, description: text, isAboutMissing: true))
        }
        for (number, address) in listen.enumerated() where listen[..<number].contains(where: address.collides) {
            problems.append(Problem(key: "listen", description: "\(address) is taken by another address here"))
        }
        let addresses = httpListen + httpsListen
        for (number, address) in addresses.enumerated() {
            let others = addresses[..<number] + listen.filter { $0 != address }
            guard others.contains(where: address.collides) else { continue }
            let key = number < httpListen.count ? "http_listen" : "https_listen"
            problems.append(Problem(key: key, description: "\(address) is taken by another address here"))
        }
        for address in admin.addresses where listen.contains(where: address.collides) {
            problems.append(Problem(key: "admin", description: "\(address) is one of the addresses to listen on"))
        }
        if let address = admin.repetition {
            problems.append(Problem(key: "admin", description: "\(address) is taken by another address here"))
        }
        if let publicAddress, publicAddress != "localhost", IPAddress(publicAddress) == nil {
            let text = "the public address \(publicAddress) is not an IP address"
            problems.append(Problem(key: "public_address", description: text))
        }
        if !path.hasPrefix("/") || path.contains(where: { "?# ".contains($0) }) {
            let text = "the path \(path) must begin with / and contain no ?, # or space"
            problems.append(Problem(key: "path", description: text))
        }
        return problems
    }
}

extension ListenAddress {
    /// Whether the address is among others. Port 0 stands for another port each time.
    func isShared(with others: [ListenAddress]) -> Bool {
        if case .tcp(_, port: 0) = self { return false }
        return others.contains(self)
    }
}
