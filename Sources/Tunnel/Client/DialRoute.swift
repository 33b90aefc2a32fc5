import HTTP1
import Logging
import NIOCore
import ProxyConnect
import Synchronization
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
    }

    /// The upgrade request, with a fresh key.
    func upgrade() throws -> ClientUpgrade {
        var fields = configuration.fields
        if fields.first("User-Agent") == nil { try fields.append("User-Agent", configuration.userAgent) }
        return try ClientUpgrade(
            authority: endpoint.authority,
            path: endpoint.path,
            subprotocols: [subprotocolName],
            fields: fields,
            deflate: configuration.isCompressing
                ? (configuration.sharesCompression ? DeflateOptions() : .isolated) : nil
        )
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
                return .socks(try SocksExchange(host: endpoint.host, port: endpoint.port, credentials: credentials))
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
            host: endpoint.host,
            port: endpoint.port,
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

    // MARK: Errors

    /// What to try when the connection dies right after the proxy let it through.
    var afterConnect: String {
        proxy == nil
            ? "check that the server runs"
            : "the proxy opened the tunnel, and then something cut it: check that the server runs, and ask the proxy's "
                + "administrators whether they cut connections to \(endpoint.host)"
    }

    func error(
        _ hop: DialError.Hop,
        _ answer: String,
        _ remedy: String,
        _ disposition: DialError.Disposition
    ) -> DialError {
        DialError(
            hop: hop,
            endpoint: endpoint.description,
            proxy: proxy?.redacted,
            answer: answer,
            remedy: remedy,
            disposition: disposition
        )
    }

    func error(_ error: ConnectError) -> DialError {
        var result = self.error(.proxy, error.description, error.remedy, disposition(error))
        if case .closedWithoutAnswer = error.kind, proxy?.scheme == .https, !error.hasChallenged {
            // With TLS 1.3 the handshake is done for us before our certificate is judged, or missed.
            result.remedy =
                "the proxy may want a certificate of yours, or another one: give it with --proxy-certificate and --proxy-key"
        }
        result.retryAfter = error.retryAfter
        if error.isPasswordAtStake, !forgetsTrust() { slowDown(&result, isClosed: error.isClosed) }
        return result
    }

    private func disposition(_ error: ConnectError) -> DialError.Disposition {
        if error.isConfigurationError { return .configuration }
        switch error.kind {
        case .noTicket, .schemeNotTaken, .credentialsNeeded, .noUsableScheme, .refusedByPolicy:
            // Nothing was sent that could lock an account, and what is missing may come back.
            return .refusedAtFirst
        case .credentialsRefused, .ownAuthorizationRefused:
            return .refused
        case .malformedAnswer:
            return .notOursAtFirst
        default:
            return .retry
        }
    }

    func error(_ error: SocksError) -> DialError {
        let disposition: DialError.Disposition
        if error.isConfigurationError {
            disposition = .configuration
        } else if case .credentialsNeeded = error.kind {
            disposition = .refusedAtFirst
        } else if error.isCredentialRefusal {
            disposition = .refused
        } else if error.isPolicyRefusal {
            disposition = .refusedAtFirst
        } else if case .malformedAnswer = error.kind {
            disposition = .notOursAtFirst
        } else {
            disposition = .retry
        }
        var result = self.error(.proxy, error.description, error.remedy, disposition)
        switch error.kind {
        case .closed(.authentication): if !forgetsTrust() { slowDown(&result, isClosed: true) }
        case .silence(.authentication): if !forgetsTrust() { slowDown(&result, isClosed: false) }
        default: break
        }
        return result
    }

    /// How long a proxy is left alone that may have dropped us over a wrong password: accounts are locked by a few tries
    /// in half an hour.
    private static let patienceWithPassword = 300

    private func slowDown(_ error: inout DialError, isClosed: Bool) {
        error.retryAfter = max(error.retryAfter ?? 0, Self.patienceWithPassword)
        if isClosed { error.disposition = .refusedAtFirst }
    }

    /// Whether the password had been taken by this proxy, so that its silence has another cause. Only once: whoever
    /// changes a password changes it behind our back.
    private func forgetsTrust() -> Bool {
        proxy.map { context.memory.forget($0) } ?? false
    }

    /// What must not show where the other side echoes our own fields.
    var secrets: [String] { configuration.fields.secrets + configuration.proxyFields.secrets }

    func notHTTP(_ error: HTTP1Error, start: [UInt8]) -> DialError {
        let shown = String(decoding: start, as: UTF8.self).hiding(secrets).escapedForDisplay(limit: 64)
        let answer = "the answer is no HTTP (\(error)); it begins with \(shown)"
        return self.error(.upgrade, answer, "check the URL's scheme and port", .notOursAtFirst)
    }

    func refusedUpgrade(_ error: UpgradeError, _ head: ResponseHead) -> DialError {
        guard case .status(let status, let retryAfter) = error else {
            let remedy = "a proxy or front may have changed the answer; wss:// hides it from them"
            return self.error(.upgrade, error.description, remedy, .notOursAtFirst)
        }
        var answer =
            "HTTP \(status)"
            + (head.reason.isEmpty ? "" : " \(head.reason.hiding(secrets).escapedForDisplay(limit: 80))")
        for name in ["Server", "Via", "Location", "WWW-Authenticate"] {
            guard let value = head.fields.first(name) else { continue }
            answer += ", \(name): \(value.hiding(secrets).escapedForDisplay(limit: 120))"
        }
        let (remedy, disposition) = Self.judge(status)
        var result = self.error(.upgrade, answer, remedy, disposition)
        result.retryAfter = retryAfter
        return result
    }

    private static func judge(_ status: Int) -> (remedy: String, DialError.Disposition) {
        switch status {
        case 200..<300:
            (
                "an ordinary web page answers there: if the network wants a login, open it in a browser and log in; else "
                    + "check the URL's host and path", .notOursAtFirst
            )
        case 300..<400:
            (
                "redirects are not followed: if this one leads to a login of the network, open it in a browser and log "
                    + "in; else give the URL that the server really has", .retry
            )
        case 401: ("a front wants credentials; give them with --header 'Authorization: ...'", .refused)
        case 407: ("something behind the proxy wants credentials of its own; ask who runs the server's front", .refused)
        case 403: ("the server or its front refuses this client; ask who runs it", .refusedAtFirst)
        case 404: ("check the URL's path against the server's --path", .notOursAtFirst)
        case 400, 426:
            (
                "a proxy or front does not pass the upgrade on; its configuration needs the Upgrade lines",
                .notOursAtFirst
            )
        case 429, 503: ("the server is busy; it will be tried again", .retry)
        case 502, 504: ("the front cannot reach the server behind it; check that culvert server runs", .retry)
        case 500...: ("the front or the server has failed; it will be tried again", .retry)
        default: ("check the URL", .notOursAtFirst)
        }
    }
}

/// What all dials of a client share.
struct DialContext: Sendable {
    /// TLS with servers.
    let tls: TLSForClients
    /// TLS with proxies.
    let proxyTLS: TLSForClients
    let memory = ProxyMemory()
    let logger: Logger
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
