extension SocksError {
    /// One step that a user can take who cannot change the proxy.
    public var remedy: String {
        switch kind {
        case .credentialsNeeded:
            "give the proxy's credentials: --proxy-user USER and --proxy-password-file FILE (or CULVERT_PROXY_PASSWORD)"
        case .noAcceptableMethod:
            "name another proxy with --proxy: with this one, only GSSAPI or the like may help, which is not spoken here"
        case .credentialsRefused:
            "check --proxy-user and --proxy-password-file before trying again: wrong tries may lock the account"
        case .refused(let reply):
            remedy(for: reply)
        case .malformedAnswer(.otherProtocol(.http)):
            "write the proxy's URL with http:// (--proxy http://HOST:PORT)"
        case .malformedAnswer(.otherProtocol(.tls)):
            "write the proxy's URL with https:// (--proxy https://HOST:PORT)"
        case .malformedAnswer(.otherProtocol(.socks4)):
            "name another proxy with --proxy: SOCKS 4 is not spoken here"
        case .malformedAnswer:
            "check the proxy's host and port in --proxy: what answers there is no SOCKS 5 proxy"
        case .closed(.greeting), .silence(.greeting):
            "check the proxy's host, port and scheme in --proxy: an HTTP proxy needs http://, or https:// where it "
                + "speaks TLS"
        case .closed(.authentication):
            "check --proxy-user and --proxy-password-file: some proxies close the connection on wrong credentials"
        case .silence(.authentication):
            "try again; if it persists, ask the proxy's administrators, with this message"
        case .closed(.request), .silence(.request):
            "check the server's name and port: the proxy may be unable to reach it, or forbid it without a word"
        case .unusableHost, .unusablePort:
            "correct the server's URL"
        case .emptyUser:
            "name the user with --proxy-user USER, or leave out the credentials"
        case .longUser:
            "correct --proxy-user, or the user in --proxy"
        case .longPassword:
            "check that --proxy-password-file names the right file: no SOCKS proxy takes a password that long"
        }
    }

    private func remedy(for reply: SocksReply) -> String {
        switch reply {
        case .generalFailure:
            "check the server's name and port: many proxies answer so to a name that they cannot resolve"
        case .notAllowed:
            "many proxies permit port 443 only: let the server listen there, or ask the proxy's administrators to "
                + "permit \(target)"
        case .networkUnreachable, .hostUnreachable:
            "check the server's name or address: the proxy has no way to \(target)"
        case .connectionRefused:
            "check the server's port, and that the server runs: nothing accepts the proxy's connection to \(target)"
        case .timeToLiveExpired:
            "check the server's name and port: something between the proxy and \(target) may drop connections"
        case .commandNotSupported:
            "name another proxy with --proxy: this one does not open connections"
        case .addressTypeNotSupported:
            "write the server's URL with its name if it has an address there, or with an IPv4 address"
        case _:
            "ask the proxy's administrators, with this message"
        }
    }
}
