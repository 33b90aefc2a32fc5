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

    private var strength: Int {
        switch self {
        case .basic: 0
        case .digest: 1
        case .ntlm: 2
        case .negotiate: 3
        }
    }

    /// Whatever can answer with these credentials, strongest first. The one place where a scheme is added.
    ///
    /// - Throws: `colonInUser` when Basic is permitted and cannot carry the name.
    static func authenticators(
        for credentials: ProxyCredentials?,
        permitted: Set<ProxyScheme>
    ) throws(CredentialsError) -> [any ProxyAuthenticator] {
        var authenticators: [any ProxyAuthenticator] = []
        for scheme in permitted.sorted(by: >) {
            switch scheme {
            case .basic:
                if let credentials { authenticators.append(try BasicAuthenticator(credentials)) }
            case .digest, .ntlm, .negotiate:
                continue
            }
        }
        return authenticators
    }
}

/// The exchange's request, which some schemes put into their answer.
public struct ProxyAuthenticationRequest: Sendable, Equatable {
    /// `CONNECT`.
    public let method: String
    /// The request target: `host:port`.
    public let target: String
}

/// What an authenticator says to a challenge.
public enum ProxyAuthenticationStep: Sendable, Equatable {
    /// The value of Proxy-Authorization for the next leg.
    case answer(String)
    /// The challenge comes after everything was said: the proxy refuses the credentials.
    case refused
    /// The challenge makes no sense for the scheme.
    case malformedChallenge
}

/// One scheme's side of the conversation with one proxy. Pure: random bytes, the time and tickets are handed in when it
/// is made. The exchange asks it at each 407 and keeps count of the legs.
public protocol ProxyAuthenticator: Sendable {
    /// Which scheme this is; its raw value is the name in a challenge, compared without case.
    var scheme: ProxyScheme { get }

    /// True when all legs must travel on one connection (NTLM, Negotiate), so that a connection which cannot be kept
    /// between two legs is the end of the attempt.
    var needsSameConnection: Bool { get }

    /// How many answers one exchange may take, at most 3: each wrong one may count towards an account's lock-out.
    var maximumLegs: Int { get }

    /// The value of Proxy-Authorization to send before any challenge, for a proxy where this worked before; nil when
    /// the scheme cannot. Does not count as a leg.
    mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String?

    /// The next leg. The challenge is the one of this scheme in the last 407.
    mutating func answer(to challenge: Challenge, _ request: ProxyAuthenticationRequest) -> ProxyAuthenticationStep
}
