/// The authentication schemes for proxies, weakest first.
public enum ProxyScheme: String, Sendable, Hashable, CaseIterable, Comparable {
    /// The password in base64 (RFC 7617).
    case basic
    /// A hash over a nonce (RFC 7616).
    case digest
    /// NTLM version 2: three legs on one connection.
    case ntlm
    /// SPNEGO, in practice Kerberos (RFC 4559).
    case negotiate

    /// All schemes, as for `--proxy-auth auto`.
    public static let all = Set(allCases)

    /// Orders schemes by strength. The strongest permitted one that the proxy offers is used.
    public static func < (left: ProxyScheme, right: ProxyScheme) -> Bool {
        left.strength < right.strength
    }

    /// The usual name.
    public var displayName: String {
        switch self {
        case .basic: "Basic"
        case .digest: "Digest"
        case .ntlm: "NTLM"
        case .negotiate: "Negotiate"
        }
    }

    /// The strength in tens, so that variants of a scheme fit between.
    var strength: Int {
        switch self {
        case .basic: 0
        case .digest: 20
        case .ntlm: 30
        case .negotiate: 40
        }
    }

    /// Returns the authenticators that these credentials allow. New schemes are added here only. Negotiate needs no
    /// credentials, since it uses the user's ticket.
    ///
    /// - Throws: `colonInUser` if Basic is permitted and cannot carry the name.
    static func authenticators(
        for credentials: ProxyCredentials?,
        permitted: Set<ProxyScheme>,
        seed: AuthenticationSeed
    ) throws(CredentialsError) -> [any ProxyAuthenticator] {
        var authenticators: [any ProxyAuthenticator] = []
        if permitted.contains(.negotiate) { authenticators.append(NegotiateAuthenticator()) }
        // Without a name only a ticket remains, as with curl's `--proxy-user :`.
        guard let credentials, !(credentials.user.isEmpty && credentials.password.isEmpty) else {
            return authenticators
        }
        if permitted.contains(.ntlm) {
            authenticators.append(NTLMAuthenticator(credentials, seed: seed))
            authenticators.append(NTLMAuthenticator(credentials, seed: seed, underNegotiate: true))
        }
        if permitted.contains(.digest) {
            authenticators.append(DigestAuthenticator(credentials, clientNonce: seed.clientNonce))
        }
        if permitted.contains(.basic) { authenticators.append(try BasicAuthenticator(credentials)) }
        return authenticators
    }
}
