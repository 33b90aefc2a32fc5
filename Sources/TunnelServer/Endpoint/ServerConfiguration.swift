import Mux
import NIOSSL
import NetworkAddress
import TunnelCore

/// Everything that a server has to be told.
public struct ServerConfiguration: Sendable {
    /// Where WebSockets are taken.
    public var listen: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 8080)]
    /// Which users may connect where `listen` is a socket in the file system.
    public var listenAccess = UnixSocketAccess()
    /// Listening sockets that were opened for the server; where there are some, they take the place of `listen`.
    public var openSockets: [Int32] = []
    /// The endpoint's path; anything else is answered with 404.
    public var path = "/tunnel"
    /// The address on which public ports are bound; nil for all of them.
    public var publicAddress: String?
    /// Ports that clients may ask for at all.
    public var allowedPorts = PortRanges.unprivileged
    /// What visitors are held to, unless a client's entry says otherwise; a client may ask for less.
    public var visitors = VisitorLimits()
    /// Who may connect. Empty: anybody, which is only accepted where every listen address is local.
    public var clients: [ClientRights] = []
    /// Who gets the requests that are not for the endpoint; nil to answer them with 404.
    public var backend: Backend?
    /// The fronts whose word is believed about where a connection comes from: by X-Forwarded-For or Forwarded, or by the
    /// PROXY protocol's header before the request.
    public var trustedFronts = TrustedFronts()
    /// Whether those fronts stand before the public ports too. Then each of their connections there must begin with a
    /// header of the PROXY protocol; everybody else's goes on as it is.
    public var hasFrontsOnPublicPorts = false
    /// Origins of browsers' pages that may connect; none unless given, because the client is no browser.
    public var allowedOrigins: [String] = []
    /// Lets a client that compresses keep its window from message to message. Then one visitor's bytes are compressed
    /// with another's in sight, and lengths tell something about them (CRIME): for tunnels whose visitors trust each
    /// other.
    public var sharesCompression = false
    /// Lets an event loop poll for the next interactive bytes, up to 60 µs, before it sleeps. A request then does not wait
    /// until a processor has woken up. It costs processor time, which is offered to other programs at each poll.
    public var pollsBusily = false
    /// Certificate and key, where the server speaks TLS itself.
    public var tls: TLSConfiguration?
    /// The CAs to which certificates of clients must lead; nil if clients need none.
    public var clientTrust: TLSTrust?
    /// The bounds of each session.
    public var limits = MuxLimits()
    /// All other bounds.
    public var serverLimits = ServerLimits()
    /// Where the operator's own HTTP is: metrics and health, and on a unix socket the status too; nil for nowhere.
    public var admin: ListenAddress?
    /// How long what runs may take to end once the server stops.
    public var drainTimeout: Duration = .seconds(30)

    /// The defaults.
    public init() {}

    /// Whether the server runs without any token.
    public var isOpen: Bool { clients.isEmpty }

    /// The addresses for a public port that a client did not narrow.
    var publicAddresses: [String] {
        if let publicAddress { return publicAddress == "localhost" ? ["127.0.0.1", "::1"] : [publicAddress] }
        return isOpen ? ["127.0.0.1", "::1"] : ["0.0.0.0", "::"]
    }

    /// Whether all public ports are on loopback, unless a client asks for others.
    var isPublicAddressLoopback: Bool { publicAddresses.allSatisfy { IPAddress($0)?.isLoopback == true } }

    /// One thing with which the server would not start.
    public struct Problem: Sendable, CustomStringConvertible {
        /// The key of the configuration that it is about.
        public let key: String
        /// One line for a person.
        public let description: String
        /// Whether it is the lack of any token.
        public var isAboutMissing = false
    }

    /// What makes a configuration one that the server would not start with; nil if it would.
    public var problem: String? { problems.first?.description }

    /// Everything with which the server would not start.
    ///
    /// A server without a token that strangers can reach would hand its ports to anybody.
    public var problems: [Problem] {
        var problems: [Problem] = []
        if listen.isEmpty { problems.append(Problem(key: "listen", description: "no address to listen on")) }
        if isOpen, let reachable = listen.first(where: { !$0.isLocal }) {
            let text =
                "refusing to listen on \(reachable) without a token, because anybody could open ports on this "
                + "machine; give --token-file, or listen on 127.0.0.1"
            problems.append(Problem(key: "listen", description: text, isAboutMissing: true))
        }
        for (number, address) in listen.enumerated() where listen[..<number].contains(where: address.collides) {
            problems.append(Problem(key: "listen", description: "\(address) is taken by another address here"))
        }
        if let admin, listen.contains(where: admin.collides) {
            problems.append(Problem(key: "admin", description: "\(admin) is one of the addresses to listen on"))
        }
        if let publicAddress, publicAddress != "localhost", IPAddress(publicAddress) == nil {
            let text = "the public address \(publicAddress) is no IP address"
            problems.append(Problem(key: "public_address", description: text))
        }
        if !path.hasPrefix("/") || path.contains(where: { "?# ".contains($0) }) {
            let text = "the path \(path) is none: it must begin with / and have no ?, # or space"
            problems.append(Problem(key: "path", description: text))
        }
        return problems
    }
}
