import HTTP1
import Logging
import NIOCore
import ProxyConnect
import Synchronization
import TunnelAdmin
import TunnelCore
import WebSocket

/// How a connection begins: what is said first, once TCP stands.
enum DialLeg: Sendable {
    case direct
    case connect(ConnectExchange)
    /// The proxy wants the exchange's next leg over another connection.
    case connectAgain(ConnectExchange, ByteBuffer, deadline: NIODeadline)
    case socks(SocksExchange)
}

/// One way to one endpoint: what each hop needs, and how its failures are told.
struct DialRoute: Sendable {
    let endpoint: EndpointURL
    let proxy: ProxyURL?
    let configuration: ClientConfiguration
    let context: DialContext
    /// Where Negotiate's tokens come from; one security context for each dial.
    let tickets: TicketSession
    /// Which addresses of the dialled name are tried.
    let turn: AddressRotation
    private let withholdsCredentials: Bool

    init(
        _ endpoint: EndpointURL,
        _ choice: ProxyChoice,
        _ configuration: ClientConfiguration,
        _ context: DialContext,
        withholdsCredentials: Bool = false
    ) {
        self.withholdsCredentials = withholdsCredentials
        self.endpoint = endpoint
        if case .proxy(let url) = choice { proxy = url } else { proxy = nil }
        self.configuration = configuration
        self.context = context
        tickets = TicketSession(host: proxy?.host ?? "")
        turn = AddressRotation(context.suspects)
    }

    /// Where the connection with the server leads. The URL's name is in SNI, in Host and in the certificate all the same.
    var target: ConnectAddress {
        configuration.connectTo ?? ConnectAddress(host: endpoint.host, port: endpoint.port)
    }

    /// How long each hop may take.
    var hopTimeout: TimeAmount { TimeAmount(configuration.clientLimits.hopTimeout) }

    /// The same, for messages.
    var hopSeconds: Int64 { configuration.clientLimits.hopTimeout.components.seconds }

    /// The upgrade request, with a fresh key.
    func upgrade() throws -> ClientUpgrade {
        var fields = configuration.fields
        if fields.first("User-Agent") == nil { try fields.append("User-Agent", configuration.userAgent) }
        if let ticket = context.serverTickets.ticket(for: endpoint) { try fields.append(TicketField.name, ticket) }
        return try ClientUpgrade(
            authority: endpoint.authority,
            path: endpoint.path,
            subprotocols: [subprotocolName],
            fields: fields,
            deflate: configuration.isCompressing
                ? (configuration.sharesCompression ? DeflateOptions() : .isolated) : nil
        )
    }

    /// The server has given a ticket for the next connection; an empty one changes nothing.
    func keep(ticket: [UInt8]) {
        context.serverTickets.keep(ticket, for: endpoint)
    }

    /// What is said first, once TCP stands, or TLS with the proxy.
    ///
    /// - Throws: ``DialError`` when what we were told to say cannot be said.
    func firstLeg() throws(DialError) -> DialLeg {
        guard let proxy else { return .direct }
        let credentials = try credentials(proxy)
        switch proxy.scheme {
        case .http, .https:
            do throws(ConnectError) {
                return .connect(try exchange(proxy, credentials))
            } catch {
                throw self.error(error)
            }
        case .socks5, .socks5h:
            if credentials != nil { sendsPasswordReadably() }
            do throws(SocksError) {
                return .socks(try SocksExchange(host: target.host, port: target.port, credentials: credentials))
            } catch {
                throw self.error(error)
            }
        }
    }

    /// The exchange with an HTTP proxy, credentials ahead where they worked before.
    private func exchange(
        _ proxy: ProxyURL,
        _ credentials: ProxyCredentials?
    ) throws(ConnectError) -> ConnectExchange {
        try ConnectExchange(
            host: target.host,
            port: target.port,
            credentials: credentials,
            permitted: configuration.proxySchemes,
            seed: AuthenticationSeed(
                random: SecureRandom.bytes(24),
                unixTime: UInt64(clamping: WallClock.unixSeconds)
            ),
            fields: configuration.proxyFields,
            userAgent: configuration.userAgent,
            sendAhead: context.memory.worked(proxy)
        )
    }

    /// What the proxy may be told. Where nothing but tickets is permitted no password is looked for, and SOCKS, which
    /// sends it readably, gets it only where Basic may too.
    private func credentials(_ proxy: ProxyURL) throws(DialError) -> ProxyCredentials? {
        let schemes = configuration.proxySchemes
        guard !withholdsCredentials, schemes != [.negotiate], schemes.contains(.basic) || !proxy.scheme.isSOCKS else {
            return nil
        }
        do throws(ProxyCredentialsFailure) {
            return try configuration.proxyCredentials.credentials(for: proxy)
        } catch {
            let remedy =
                switch error {
                case .noPassword(let user):
                    "give it with --proxy-password-file FILE or CULVERT_PROXY_PASSWORD (an empty one as --proxy-user "
                        + "'\(user.escapedForDisplay()):')"
                case .netrc: "correct the netrc file"
                }
            throw self.error(.proxy, error.description, remedy, .configuration)
        }
    }

    /// The password is about to be sent in a form that everybody on the way can read: warns once, unless TLS hides it.
    func sendsPasswordReadably() {
        guard let proxy, proxy.scheme != .https, context.memory.warns(about: proxy) else { return }
        let form = proxy.scheme.isSOCKS ? "SOCKS" : "Basic"
        context.logger.warning(
            "the proxy takes the password by \(form) over an unencrypted connection: everybody on the way to it can read it",
            metadata: ["proxy": "\(proxy.redacted)"]
        )
    }

    /// Remembers that credentials were taken: Basic is sent ahead the next time, which saves a round trip.
    func established(with scheme: ProxyScheme?) {
        if let proxy, let scheme { context.memory.remember(proxy, sendsAhead: scheme == .basic) }
    }
}

/// What all dials of a client share.
struct DialContext: Sendable {
    /// TLS with servers.
    let tls: TLSForClients
    /// TLS with proxies.
    let proxyTLS: TLSForClients
    let memory = ProxyMemory()
    let hellos = HelloSizeMemory()
    let serverTickets = ServerTickets()
    let suspects = SuspectAddresses()
    /// Where names are looked up.
    let names: HostNames
    let logger: Logger

    init(_ configuration: ClientConfiguration, names: HostNames = .shared, logger: Logger) {
        self.names = names
        // Both trust the same CAs, which are read once.
        let verifier = PeerVerifier(configuration.trust, .server)
        tls = TLSForClients(configuration.tls, verifier)
        proxyTLS = TLSForClients(configuration.proxyTLS, verifier)
        self.logger = logger
    }
}

/// What the run has learnt about its proxies.
final class ProxyMemory: Sendable {
    private struct Known {
        var trusted: Set<ProxyURL> = []
        var ahead: Set<ProxyURL> = []
        var warned: Set<ProxyURL> = []
    }

    private let known = Mutex(Known())

    /// The proxy has taken our credentials, perhaps by a scheme that can be sent ahead.
    func remember(_ proxy: ProxyURL, sendsAhead: Bool) {
        known.withLock { known in
            known.trusted.insert(proxy)
            if sendsAhead { known.ahead.insert(proxy) }
        }
    }

    /// Whether the credentials may be sent ahead.
    func worked(_ proxy: ProxyURL) -> Bool {
        known.withLock { $0.ahead.contains(proxy) }
    }

    /// What was known of the proxy holds no more; true where it had taken our credentials.
    func forget(_ proxy: ProxyURL) -> Bool {
        known.withLock { known in
            known.ahead.remove(proxy)
            return known.trusted.remove(proxy) != nil
        }
    }

    /// True once for each proxy.
    func warns(about proxy: ProxyURL) -> Bool {
        known.withLock { $0.warned.insert(proxy).inserted }
    }
}
