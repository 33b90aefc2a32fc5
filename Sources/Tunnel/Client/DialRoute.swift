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

    init(_ endpoint: EndpointURL, _ choice: ProxyChoice, _ configuration: ClientConfiguration, _ context: DialContext) {
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

    private func credentials(_ proxy: ProxyURL) throws(DialError) -> ProxyCredentials? {
        do throws(NetrcError) {
            return try configuration.proxyCredentials.credentials(for: proxy)
        } catch {
            throw self.error(.proxy, "netrc: \(error)", "correct the netrc file", .configuration)
        }
    }

    /// Basic is about to be sent, or has been taken: warns once where everybody on the way can read it.
    func usesBasic() {
        guard let proxy, proxy.scheme == .http, context.memory.warns(about: proxy) else { return }
        context.logger.warning(
            "the proxy takes the password by Basic over an unencrypted connection: everybody on the way to it can read it",
            metadata: ["proxy": "\(proxy.redacted)"]
        )
    }

    /// Remembers that credentials were taken, so that the next dial saves a round trip.
    func established(with scheme: ProxyScheme?) {
        if let proxy, scheme == .basic { context.memory.remember(proxy) }
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
        let disposition: DialError.Disposition
        if error.isConfigurationError {
            disposition = .configuration
        } else if error.isCredentialRefusal {
            disposition = .refused
        } else if error.isPolicyRefusal {
            disposition = .refusedAtFirst
        } else if case .malformedAnswer = error.kind {
            disposition = .notOursAtFirst
        } else if case .noTicket = error.kind {
            // Nothing was sent that could lock an account, and a ticket may come back.
            disposition = .refusedAtFirst
        } else {
            disposition = .retry
        }
        var result = self.error(.proxy, error.description, error.remedy, disposition)
        if case .closedWithoutAnswer = error.kind, proxy?.scheme == .https {
            // With TLS 1.3 the handshake is done for us before our certificate is judged, or missed.
            result.remedy =
                "the proxy may want a certificate of yours, or another one: give it with --proxy-certificate and --proxy-key"
        }
        result.retryAfter = error.retryAfter
        return result
    }

    func error(_ error: SocksError) -> DialError {
        let disposition: DialError.Disposition
        if error.isConfigurationError {
            disposition = .configuration
        } else if error.isCredentialRefusal {
            disposition = .refused
        } else if error.isPolicyRefusal {
            disposition = .refusedAtFirst
        } else if case .malformedAnswer = error.kind {
            disposition = .notOursAtFirst
        } else {
            disposition = .retry
        }
        return self.error(.proxy, error.description, error.remedy, disposition)
    }

    func notHTTP(_ error: HTTP1Error, start: [UInt8]) -> DialError {
        let shown = String(decoding: start, as: UTF8.self).escapedForDisplay(limit: 64)
        let answer = "the answer is no HTTP (\(error)); it begins with \(shown)"
        return self.error(.upgrade, answer, "check the URL's scheme and port", .notOursAtFirst)
    }

    func refusedUpgrade(_ error: UpgradeError, _ head: ResponseHead) -> DialError {
        guard case .status(let status, let retryAfter) = error else {
            let remedy = "a proxy or front may have changed the answer; wss:// hides it from them"
            return self.error(.upgrade, error.description, remedy, .notOursAtFirst)
        }
        var answer = "HTTP \(status)" + (head.reason.isEmpty ? "" : " \(head.reason.escapedForDisplay(limit: 80))")
        for name in ["Server", "Via", "Location", "WWW-Authenticate"] {
            if let value = head.fields.first(name) { answer += ", \(name): \(value.escapedForDisplay(limit: 120))" }
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
        var taken: Set<ProxyURL> = []
        var warned: Set<ProxyURL> = []
    }

    private let known = Mutex(Known())

    /// The proxy has taken our Basic credentials: they are sent ahead the next time.
    func remember(_ proxy: ProxyURL) {
        _ = known.withLock { $0.taken.insert(proxy) }
    }

    func worked(_ proxy: ProxyURL) -> Bool {
        known.withLock { $0.taken.contains(proxy) }
    }

    /// True once for each proxy.
    func warns(about proxy: ProxyURL) -> Bool {
        known.withLock { $0.warned.insert(proxy).inserted }
    }
}
