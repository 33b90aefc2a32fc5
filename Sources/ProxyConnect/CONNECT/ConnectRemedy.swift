extension ConnectError {
    /// One step that a user can take who cannot change the proxy.
    public var remedy: String {
        switch kind {
        case .credentialsNeeded:
            "give the proxy's credentials: --proxy-user USER and --proxy-password-file FILE (or CULVERT_PROXY_PASSWORD)"
        case .noUsableScheme(let usable):
            usable.count == ProxyScheme.all.count
                ? "name another proxy with --proxy, or ask its administrators for one of "
                    + usable.map(\.displayName).joined(separator: ", ")
                : "permit one of the schemes that the proxy offers with --proxy-auth, or name another proxy with --proxy"
        case .noTicket(let failure):
            failure.remedy
        case .schemeNotTaken(.negotiate):
            "check with klist that the ticket is valid and of the proxy's realm, that the proxy is named as its "
                + "administrators name it, and that the clocks agree; or give --proxy-user and --proxy-password-file"
        case .schemeNotTaken:
            "choose another scheme with --proxy-auth, or name another proxy with --proxy"
        case .credentialsRefused:
            "check the proxy's user name (some want DOMAIN\\user) and password before trying again: "
                + "wrong tries may lock the account"
        case .malformedChallenge(let scheme):
            "choose another scheme than \(scheme.displayName) with --proxy-auth"
        case .connectionNotKept(let scheme):
            "check that nothing between here and the proxy cuts connections, or choose another scheme than "
                + "\(scheme.displayName) with --proxy-auth"
        case .refusedByPolicy:
            "many proxies permit CONNECT to port 443 only: let the server listen there, or ask the proxy's "
                + "administrators to permit \(target)"
        case .unexpectedStatus:
            statusRemedy(answer?.status ?? 0)
        case .malformedAnswer(_, let start):
            start.hasPrefix("\\u{15}")
                ? "the proxy speaks TLS: write its URL with https://"
                : start.hasPrefix("\\u{5}")
                    ? "the proxy speaks SOCKS: write its URL with socks5://"
                    : "check the proxy's host and port: what answers there is no HTTP proxy"
        case .tooManyInterimAnswers, .closedWithinAnswer, .unfinishedAnswer:
            "try again; if it persists, check the proxy's host and port"
        case .ownAuthorizationRefused:
            "correct that field, or leave it out and give --proxy-user and --proxy-password-file"
        case .closedWithoutAnswer where isPasswordAtStake, .silence where isPasswordAtStake:
            "the proxy had asked for credentials, and may drop the connection over wrong ones: check the user name and the "
                + "password before trying again; else check that the server runs"
        case .closedWithoutAnswer where hasChallenged, .silence where hasChallenged:
            "the proxy speaks HTTP, and did not say more: check that the server runs, and choose another scheme with "
                + "--proxy-auth"
        case .closedWithoutAnswer, .silence:
            "check the proxy's host, port and scheme: one that speaks TLS needs https://, a SOCKS proxy socks5://"
        case .unusableCredentials:
            "correct the proxy's user name and password"
        case .unusableRequest:
            "correct the server's URL, --proxy-header and --user-agent"
        }
    }

    private func statusRemedy(_ status: Int) -> String {
        switch status {
        case 300...399:
            "a portal stands in the way: open the address that it names in a browser and log in"
        case 400:
            "the proxy does not understand the request: check --proxy-header and the proxy's URL"
        case 401:
            "what answers there is a web server, or a proxy that asks wrongly: check the proxy's host and port"
        case 404, 405, 501:
            "what answers there serves no CONNECT: check that the proxy's host and port are those of a forward proxy"
        case 408, 429:
            "the proxy is busy: wait and try again"
        case 451:
            "ask the proxy's administrators to permit \(target)"
        case 511:
            "the network wants a login: open any http:// page in a browser and log in"
        case 502, 503, 504:
            "the proxy cannot reach \(target): check the server's name and port, and that the server runs"
        default:
            "ask the proxy's administrators, with this message"
        }
    }
}
