/// The authentication schemes that a proxy may be answered with, weakest first.
public enum ProxyScheme: String, Sendable, Hashable, CaseIterable, Comparable {
    /// The password in base64 (RFC 7617).
    case basic
    /// A hash over a nonce (RFC 7616).
    case digest
    /// NTLM version 2: three legs on one connection.
    case ntlm
    /// SPNEGO, in practice Kerberos (RFC 4559).
    case negotiate

    /// Every scheme: `--proxy-auth auto`.
    public static let all = Set(allCases)

    /// Ordered by strength; the strongest permitted one that the proxy offers is taken.
    public static func < (left: ProxyScheme, right: ProxyScheme) -> Bool {
        left.strength < right.strength
    }

    /// The name as people know it.
    public var displayName: String {
        switch self {
        case .basic: "Basic"
        case .digest: "Digest"
        case .ntlm: "NTLM"
        case .negotiate: "Negotiate"
        }
    }

    /// Tens, so that a variant of a scheme finds its place in between.
    var strength: Int {
        switch self {
        case .basic: 0
        case .digest: 20
        case .ntlm: 30
        case .negotiate: 40
        }
    }

    /// Whatever can answer with these credentials. The one place where a scheme is added. Negotiate needs none: it
    /// lives on the user's ticket.
    ///
    /// - Throws: `colonInUser` when Basic is permitted and cannot carry the name.
    static func authenticators(
        for credentials: ProxyCredentials?,
        permitted: Set<ProxyScheme>,
        seed: AuthenticationSeed
    ) throws(CredentialsError) -> [any ProxyAuthenticator] {
        var authenticators: [any ProxyAuthenticator] = []
        if permitted.contains(.negotiate) { authenticators.append(NegotiateAuthenticator()) }
        // Without a name there is nothing but a ticket, which is what curl's `--proxy-user :` says.
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
