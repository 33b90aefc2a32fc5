import HTTP1
import NIOCore
import NetworkAddress
import ProxyConnect
import TunnelAdmin
import TunnelCore
import WebSocket

/// How the failures of each hop are told, and what they mean for the client's run.
extension DialRoute {
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
        self.error(hop, answer, remedy, disposition, at: turn.connected.map { [$0] } ?? [])
    }

    /// - Parameter addresses: those of the dialled name that the error is about.
    func error(
        _ hop: DialError.Hop,
        _ answer: String,
        _ remedy: String,
        _ disposition: DialError.Disposition,
        at addresses: [SocketAddress]
    ) -> DialError {
        let place = place(addresses)
        var endpoint = endpoint.description
        if let elsewhere = configuration.connectTo {
            endpoint += " at \(elsewhere)" + (proxy == nil ? place.map { " (\($0))" } ?? "" : "")
        } else if proxy == nil, let place {
            endpoint += " at \(place)"
        }
        return DialError(
            hop: hop,
            endpoint: endpoint,
            proxy: proxy.map { $0.redacted + (place.map { " at \($0)" } ?? "") },
            answer: answer,
            remedy: remedy,
            disposition: disposition
        )
    }

    /// The addresses that a name has led to; nil where an address was written.
    private func place(_ addresses: [SocketAddress]) -> String? {
        guard IPAddress(proxy?.host ?? target.host) == nil, !addresses.isEmpty else { return nil }
        let shown = addresses.prefix(Self.shownAddresses).map(\.inShort).joined(separator: ", ")
        return addresses.count > Self.shownAddresses ? "\(shown), ..." : shown
    }

    /// Addresses that one line names.
    private static let shownAddresses = 3

    func error(_ error: ConnectError) -> DialError {
        var result = self.error(.proxy, error.description, error.remedy, disposition(error))
        if case .closedWithoutAnswer = error.kind, proxy?.scheme == .https, !error.hasChallenged {
            // With TLS 1.3 the handshake is done for us before our certificate is judged, or missed.
            result.remedy =
                "the proxy may want a certificate of yours, or another one: give it with --proxy-certificate and --proxy-key"
        }
        result.retryAfter = error.retryAfter
        result.isPasswordRefusal = result.disposition == .refused
        switch error.kind {
        case .closedWithoutAnswer, .closedWithinAnswer, .silence, .unfinishedAnswer, .malformedAnswer:
            result.isFinal = error.isPasswordAtStake
        default: result.isFinal = true
        }
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
        result.isPasswordRefusal = disposition == .refused
        switch error.kind {
        case .closed(.greeting), .silence(.greeting), .closed(.request), .silence(.request), .malformedAnswer: break
        default: result.isFinal = true
        }
        switch error.kind {
        case .closed(.authentication): if !forgetsTrust() { slowDown(&result, isClosed: true) }
        case .silence(.authentication): if !forgetsTrust() { slowDown(&result, isClosed: false) }
        default: break
        }
        return result
    }

    /// How long a proxy is left alone that may have dropped us over a wrong password: accounts are locked by a few tries
    /// in half an hour.
    static let patienceWithPassword = 300

    private func slowDown(_ error: inout DialError, isClosed: Bool) {
        error.retryAfter = max(error.retryAfter ?? 0, Self.patienceWithPassword)
        error.waitReason =
            "the proxy gave no answer to the password, and further tries may lock the account; SIGHUP or culvert renew "
            + "dials at once"
        if isClosed { error.disposition = .refusedAtFirst }
    }

    /// Whether the password had been taken by this proxy, so that its silence has another cause. Only once: whoever
    /// changes a password changes it behind our back.
    private func forgetsTrust() -> Bool {
        proxy.map { context.memory.forget($0) } ?? false
    }

    /// What must not show where the other side echoes our own fields.
    var secrets: [String] { configuration.fields.secrets + configuration.proxyFields.secrets }

    /// What nginx needs, which passes on neither HTTP/1.1 nor the upgrade by itself.
    private static let upgradeLines =
        "a proxy or front does not pass the upgrade on; nginx needs these lines: proxy_http_version 1.1; "
        + "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\""

    func notHTTP(_ error: HTTP1Error, start: [UInt8]) -> DialError {
        // A frame of HTTP/2 for the whole connection: SETTINGS, or the GOAWAY that ends it.
        if start.count >= 9, [4, 7].contains(start[3]), start[5...8].allSatisfy({ $0 == 0 }) {
            let remedy = "let the front speak HTTP/1.1 here too, since WebSockets of HTTP/2 are not spoken"
            return self.error(.upgrade, "the answer is HTTP/2, and the request was HTTP/1.1", remedy, .notOursAtFirst)
        }
        let shown = String(decoding: start, as: UTF8.self).hiding(secrets).escapedForDisplay(limit: 64)
        if !endpoint.isSecure, start.starts(with: [0x15, 0x03]) || start.starts(with: [0x16, 0x03]) {
            return self.error(.upgrade, "the server speaks TLS on this port", Self.useTLS, .notOursAtFirst)
        }
        let answer = "the answer is no HTTP (\(error)); it begins with \(shown)"
        return self.error(.upgrade, answer, "check the URL's scheme and port", .notOursAtFirst)
    }

    func refusedUpgrade(_ error: UpgradeError, _ head: ResponseHead) -> DialError {
        guard case .status(let status, let retryAfter) = error else {
            let isOld = error == .version(.http1_0)
            let remedy =
                isOld ? Self.upgradeLines : "a proxy or front may have changed the answer; wss:// hides it from them"
            return self.error(.upgrade, error.description, remedy, .notOursAtFirst)
        }
        var answer =
            "HTTP \(status)"
            + (head.reason.isEmpty ? "" : " \(head.reason.hiding(secrets).escapedForDisplay(limit: 80))")
        for name in ["Server", "Via", "Location", "WWW-Authenticate"] {
            guard let value = head.fields.first(name) else { continue }
            answer += ", \(name): \(value.hiding(secrets).escapedForDisplay(limit: 120))"
        }
        var (remedy, disposition) = Self.judge(status)
        if (300..<400).contains(status), let secure = secureURL(head.fields.first("Location")) {
            remedy = "use \(secure)"
        }
        var result = self.error(.upgrade, answer, remedy, disposition)
        result.retryAfter = retryAfter
        return result
    }

    private static let useTLS = "write the URL with wss://"

    /// A page says, in the words of one of the usual servers, that its port wants TLS.
    func withRemedy(_ error: DialError, forPage page: String) -> DialError {
        let words = ["HTTPS port", "HTTPS server", "SSL-enabled", "speaks TLS"]
        guard !endpoint.isSecure, words.contains(where: page.contains) else { return error }
        var result = error
        result.remedy = Self.useTLS
        return result
    }

    /// The URL to give in place of ours, if a redirect leads to the same host by TLS.
    private func secureURL(_ location: String?) -> String? {
        guard !endpoint.isSecure, let location, location.lowercased().hasPrefix("https://"),
            let url = try? EndpointURL(location), url.host.lowercased() == endpoint.host.lowercased()
        else { return nil }
        return url.description
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
