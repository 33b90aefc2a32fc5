import HTTP1
import NIOCore
import NIOSSL
import ProxyConnect
import Synchronization
import WebSocket

/// How a connection begins: what is said first, once TCP stands.
enum DialLeg: Sendable {
    case direct
    case proxy(ConnectExchange)
    /// The proxy wants the exchange's next leg over another connection.
    case proxyAgain(ConnectExchange, ByteBuffer)
}

/// One way to one endpoint: what each hop needs, and how its failures are told.
struct DialRoute: Sendable {
    let endpoint: EndpointURL
    let proxy: ProxyURL?
    let tls: TLSForClients?
    let configuration: ClientConfiguration
    let memory: ProxyMemory

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

    /// The exchange with the proxy, credentials ahead where they worked before.
    func exchange(_ proxy: ProxyURL) throws(ConnectError) -> ConnectExchange {
        try ConnectExchange(
            host: endpoint.host,
            port: endpoint.port,
            credentials: proxy.credentials ?? configuration.proxyCredentials,
            permitted: configuration.proxySchemes,
            fields: configuration.proxyFields,
            userAgent: configuration.userAgent,
            sendAhead: memory.worked(proxy)
        )
    }

    /// Remembers that credentials were taken, so that the next dial saves a round trip.
    func established(with scheme: ProxyScheme?) {
        if let proxy, scheme == .basic { memory.remember(proxy) }
    }

    // MARK: Errors

    /// What to try when the connection dies right after the proxy let it through.
    var afterConnect: String {
        proxy == nil
            ? "check that the server runs"
            : "the proxy lets the connection through and something behind it does not: check that the server runs"
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
        } else {
            disposition = .retry
        }
        var result = self.error(.proxy, error.description, error.remedy, disposition)
        result.retryAfter = error.retryAfter
        return result
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
        case 200..<300: ("this is an ordinary web page; check the URL's host and path", .notOursAtFirst)
        case 300..<400: ("redirects are not followed; give the URL that the server really has", .retry)
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

    func tlsError(_ error: any Error) -> DialError {
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unable to") {
            let answer =
                "the certificate of \(endpoint.host) cannot be verified (\(text.escapedForDisplay(limit: 160)))"
            let remedy = "if the server's or your company's own CA has signed it, give that CA with --ca"
            return self.error(.tls, answer, remedy, .retry)
        }
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
            return self.error(.tls, "the server does not speak TLS on this port", "use ws:// or another port", .retry)
        }
        return self.error(.tls, text.escapedForDisplay(limit: 200), "check the certificate and its host name", .retry)
    }
}

/// The TLS of a client, made once: the trust store is read a single time.
struct TLSForClients: Sendable {
    private let context: NIOSSLContext

    init(_ configuration: TLSConfiguration) throws {
        context = try NIOSSLContext(configuration: configuration)
    }

    /// A handler that verifies `host`; an address is verified against the certificate's addresses and sends no SNI.
    func handler(for host: String) throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: context, serverHostname: IPAddress(host) == nil ? host : nil)
    }
}

/// Which proxies have taken our Basic credentials, so that they are sent ahead the next time.
final class ProxyMemory: Sendable {
    private let proxies = Mutex<Set<ProxyURL>>([])

    func remember(_ proxy: ProxyURL) {
        _ = proxies.withLock { $0.insert(proxy) }
    }

    func worked(_ proxy: ProxyURL) -> Bool {
        proxies.withLock { $0.contains(proxy) }
    }
}
