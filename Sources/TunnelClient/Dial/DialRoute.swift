import HTTP1
import Mux
import NIOCore
import ProxyConnect
import TunnelCore
import WebSocket

/// A way to a server as one dial takes it: server, proxy, configuration, and the state that each hop needs.
struct DialRoute: Sendable {
    let way: DialWay
    let endpoint: EndpointURL
    let proxy: ProxyURL?
    let configuration: ClientConfiguration
    let context: DialContext
    /// The source of Negotiate's tokens, with one security context for each dial.
    let tickets: TicketSession
    /// The addresses of the dialled name that are tried.
    let rotation: AddressRotation
    /// The times and the facts of the hops.
    let hops: HopRecorder
    private let withholdsCredentials: Bool

    init(
        _ way: DialWay,
        _ configuration: ClientConfiguration,
        _ context: DialContext,
        withholdsCredentials: Bool = false,
        addresses preference: AddressRotation.Preference = .none
    ) {
        self.way = way
        self.withholdsCredentials = withholdsCredentials
        endpoint = way.endpoint
        if case .proxy(let url) = way.choice { proxy = url } else { proxy = nil }
        self.configuration = configuration
        self.context = context
        tickets = TicketSession(host: proxy?.host ?? "")
        rotation = AddressRotation(context.suspects, preferring: preference)
        hops = HopRecorder(context.onHop)
    }

    /// The host and the port of the server's connection. SNI, Host and the certificate have the URL's name all the same.
    var target: ConnectAddress {
        configuration.connectTo ?? ConnectAddress(host: endpoint.host, port: endpoint.port)
    }

    /// The host and the port of the TCP connection: the proxy's, or the server's.
    var dialled: (host: String, port: Int) {
        proxy.map { ($0.host, $0.port) } ?? (target.host, target.port)
    }

    /// The timeout of each hop.
    var hopTimeout: TimeAmount { TimeAmount(configuration.clientLimits.hopTimeout) }

    /// The timeout of each hop in whole seconds, for messages.
    var hopSeconds: Int64 { configuration.clientLimits.hopTimeout.components.seconds }

    /// Keeps a ticket of the server for the next connection; an empty one changes nothing.
    func keep(ticket: [UInt8]) {
        context.serverTickets.keep(ticket, for: endpoint)
    }

    // MARK: The seal

    /// Whether the session is sealed. Where nothing lies between the two ends, it need not be. A loopback address with a
    /// pinned key may be the near end of another tunnel.
    var isSealed: Bool {
        switch configuration.encryption {
        case .off: false
        case .required: true
        case .auto: proxy != nil || !target.isLoopback || context.serverKeys.isPinned
        }
    }

    /// The server's place among the known ones: the URL's host and port, also the default one.
    var knownAs: String { "\(ConnectAddress(host: endpoint.host, port: endpoint.port))" }

    /// The seal of the session, and the keys that the server may have.
    var encryption: ClientHandshake.Encryption {
        guard isSealed else { return .off }
        return context.serverKeys.expected(of: knownAs).map { .keys($0) } ?? .anyKey
    }

    // MARK: Steps

    /// The steps of a dial by this route, with a fresh exchange for each hop.
    ///
    /// - Throws: ``DialError`` if the proxy cannot be asked as the configuration wants.
    func steps() throws(DialError) -> DialSteps {
        let upgrade: Result<ClientUpgrade, UpgradeFailure>
        do {
            upgrade = .success(try self.upgrade())
        } catch {
            upgrade = .failure(.unusableRequest(error.userDescription))
        }
        return DialSteps(
            try opening(),
            proxyScheme: proxy?.scheme,
            isSecure: endpoint.isSecure,
            upgrade: UpgradeExchange(upgrade)
        )
    }

    private func opening() throws(DialError) -> DialOpening {
        guard let proxy else { return .direct }
        let credentials = try credentials(proxy)
        switch proxy.scheme {
        case .http, .https:
            do throws(ConnectError) {
                return .connect(try exchange(proxy, credentials))
            } catch {
                throw self.error(.proxy(.connect(error)))
            }
        case .socks5, .socks5h:
            if credentials != nil { warnOfReadablePassword() }
            do throws(SocksError) {
                return .socks(try SocksExchange(host: target.host, port: target.port, credentials: credentials))
            } catch {
                throw self.error(.proxy(.socks(error)))
            }
        }
    }

    /// The exchange with an HTTP proxy. Credentials are sent ahead if that worked before.
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

    /// The credentials that the proxy may receive.
    ///
    /// No password is looked up if only tickets are permitted. SOCKS sends the password readably, and gets it only if
    /// Basic is permitted too.
    private func credentials(_ proxy: ProxyURL) throws(DialError) -> ProxyCredentials? {
        let schemes = configuration.proxySchemes
        guard !withholdsCredentials, schemes != [.negotiate], schemes.contains(.basic) || !proxy.scheme.isSOCKS else {
            return nil
        }
        do throws(ProxyCredentialsFailure) {
            return try configuration.proxyCredentials.credentials(for: proxy)
        } catch {
            throw self.error(.proxy(.credentials(error)))
        }
    }

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
            deflate: configuration.isCompressing && !isSealed
                ? (configuration.sharesCompression ? DeflateOptions() : .isolated) : nil
        )
    }

    // MARK: The proxy's password

    /// Warns once for each proxy that the password is sent in a readable form, unless TLS hides it.
    func warnOfReadablePassword() {
        guard let proxy, proxy.scheme != .https, context.memory.warns(about: proxy) else { return }
        let form = proxy.scheme.isSOCKS ? "SOCKS" : "Basic"
        context.logger.warning(
            "the proxy takes the password by \(form) over an unencrypted connection: any machine on the way to it can read it",
            metadata: ["proxy": "\(proxy.redacted)"]
        )
    }

    /// Remembers that the proxy took the credentials. Basic is sent ahead the next time, which saves a round trip.
    func established(with scheme: ProxyScheme?) {
        if let proxy, let scheme { context.memory.remember(proxy, sendsAhead: scheme == .basic) }
    }
}
