import HTTP1
import NIOCore
import ProxyConnect
import TunnelCore
import WebSocket

/// A failed WebSocket handshake.
enum UpgradeFailure: Error, Sendable {
    /// The request cannot be sent, because of a field or the URL.
    case unusableRequest(String)
    /// The connection was closed before the answer was complete.
    case closed
    /// The answer was not complete within the timeout.
    case silent
    /// The server sent more interim answers than the limit.
    case endlessInterimAnswers
    /// The answer is not HTTP, and begins with these bytes.
    case notHTTP(HTTP1Error, start: [UInt8])
    /// The answer is not the 101 that it should be; with the beginning of its page, if it has one.
    case refused(UpgradeError, ResponseHead, page: ByteBuffer)
    /// The server upgraded to another subprotocol.
    case otherSubprotocol
    /// The WebSocket could not take over the connection.
    case local(String)

    /// The error for a person.
    func error(on route: DialRoute) -> DialError {
        switch self {
        case .unusableRequest(let reason):
            return route.error(.upgrade, reason, "correct --header or the URL", .configuration)
        case .closed:
            let answer = "the connection was closed without an answer"
            return route.error(.upgrade, answer, route.remedyAfterConnect, .retry)
        case .silent:
            return route.error(.upgrade, "no answer within \(route.hopSeconds) s", "check the URL", .retry)
        case .endlessInterimAnswers:
            return route.error(.upgrade, "endless interim answers", "", .notOursAtFirst)
        case .notHTTP(let error, let start):
            return Self.notHTTP(error, start, on: route)
        case .refused(let error, let head, let page):
            guard case .status(let status, let retryAfter) = error else {
                return Self.malformed(error, on: route)
            }
            return Self.refused(status, retryAfter, head, page, on: route)
        case .otherSubprotocol:
            let answer = "a WebSocket server answered that does not speak \(subprotocolName)"
            let remedy = "check the URL; a front before culvert server must pass Sec-WebSocket-Protocol on, both ways"
            return route.error(.upgrade, answer, remedy, .notOursAtFirst)
        case .local(let reason):
            return route.error(.upgrade, reason, "", .retry)
        }
    }

    // MARK: Answers without a status

    private static func notHTTP(_ error: HTTP1Error, _ start: [UInt8], on route: DialRoute) -> DialError {
        // A frame of HTTP/2 for the whole connection: SETTINGS, or the GOAWAY that ends it.
        if start.count >= 9, [4, 7].contains(start[3]), start[5...8].allSatisfy({ $0 == 0 }) {
            let answer = "the answer is HTTP/2, and the request was HTTP/1.1"
            let remedy = "let the front speak HTTP/1.1 here too, since culvert does not speak WebSocket over HTTP/2"
            return route.error(.upgrade, answer, remedy, .notOursAtFirst)
        }
        if !route.endpoint.isSecure, start.starts(with: [0x15, 0x03]) || start.starts(with: [0x16, 0x03]) {
            return route.error(.upgrade, "the server speaks TLS on this port", useTLS, .notOursAtFirst)
        }
        let shown = String(decoding: start, as: UTF8.self).hiding(route.secrets).escapedForDisplay(limit: 64)
        let answer = "the answer is not HTTP (\(error)); it begins with \(shown)"
        return route.error(.upgrade, answer, "check the URL's scheme and port", .notOursAtFirst)
    }

    private static func malformed(_ error: UpgradeError, on route: DialRoute) -> DialError {
        let remedy =
            error == .version(.http1_0)
            ? upgradeLines : "a proxy or front may have changed the answer; wss:// hides it from them"
        return route.error(.upgrade, error.description, remedy, .notOursAtFirst)
    }

    // MARK: Answers with a status

    private static func refused(
        _ status: Int,
        _ retryAfter: Int?,
        _ head: ResponseHead,
        _ page: ByteBuffer,
        on route: DialRoute
    ) -> DialError {
        let secrets = route.secrets
        var answer =
            "HTTP \(status)"
            + (head.reason.isEmpty ? "" : " \(head.reason.hiding(secrets).escapedForDisplay(limit: 80))")
        for name in ["Server", "Via", "Location", "WWW-Authenticate"] {
            guard let value = head.fields.first(name) else { continue }
            answer += ", \(name): \(value.hiding(secrets).escapedForDisplay(limit: 120))"
        }
        var (remedy, disposition) = consequence(of: status)
        if (300..<400).contains(status), let secure = secureURL(head.fields.first("Location"), on: route) {
            remedy = "use \(secure)"
        }
        if let line = PageExcerpt.line(of: page.readableBytesView, hiding: secrets) {
            answer += ", page: \(line)"
            if wantsTLS(line), !route.endpoint.isSecure { remedy = useTLS }
        }
        var result = route.error(.upgrade, answer, remedy, disposition)
        result.retryAfter = retryAfter
        return result
    }

    private static let useTLS = "write the URL with wss://"

    /// The lines that nginx needs, which by itself passes on neither HTTP/1.1 nor the upgrade.
    private static let upgradeLines =
        "a proxy or front does not pass the upgrade on; nginx needs these lines: proxy_http_version 1.1; "
        + "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\""

    /// Whether a page says, in the words of one of the usual servers, that its port wants TLS.
    private static func wantsTLS(_ page: String) -> Bool {
        ["HTTPS port", "HTTPS server", "SSL-enabled", "speaks TLS"].contains(where: page.contains)
    }

    /// The URL to give in place of ours, if a redirect leads to the same host by TLS.
    private static func secureURL(_ location: String?, on route: DialRoute) -> String? {
        guard !route.endpoint.isSecure, let location, location.lowercased().hasPrefix("https://"),
            let url = try? EndpointURL(location), url.host.lowercased() == route.endpoint.host.lowercased()
        else { return nil }
        return url.description
    }

    private static func consequence(of status: Int) -> (remedy: String, DialError.Disposition) {
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
        case 407:
            (
                "a server behind the proxy wants credentials of its own; ask the operator of the server's front",
                .refused
            )
        case 403: ("the server or its front refuses this client; ask its operator", .refusedAtFirst)
        case 404: ("check the URL's path against the server's --path", .notOursAtFirst)
        case 400, 426, 505: (upgradeLines, .notOursAtFirst)
        case 431:
            (
                "the request's fields are too large for the front or the server: give fewer or shorter --header, or raise "
                    + "its limit", .notOursAtFirst
            )
        case 421: ("the front does not serve this host here: check the URL's host", .notOursAtFirst)
        case 429, 503: ("the server is busy; it will be tried again", .retry)
        case 502, 504: ("the front cannot reach the server behind it; check that culvert server runs", .retry)
        case 500...: ("the front or the server has failed; it will be tried again", .retry)
        default: ("check the URL", .notOursAtFirst)
        }
    }
}
