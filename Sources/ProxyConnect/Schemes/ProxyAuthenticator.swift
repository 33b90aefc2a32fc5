/// What an authenticator says to a challenge.
public enum ProxyAuthenticationStep: Sendable, Equatable {
    /// The value of Proxy-Authorization for the next leg.
    case answer(String)
    /// A token from the system's GSSAPI is needed first, made out of what the proxy sent; nil for the first one.
    case ticket(input: [UInt8]?)
    /// The challenge comes after everything was said: the proxy refuses the credentials.
    case refused
    /// The scheme does not work with this proxy, as it turned out before a password was at stake: another may.
    case unusable
    /// The challenge makes no sense for the scheme.
    case malformedChallenge
}

/// The exchange's request, which some schemes put into their answer.
public struct ProxyAuthenticationRequest: Sendable, Equatable {
    /// `CONNECT`.
    public let method: String
    /// The request target: `host:port`.
    public let target: String
}

/// One scheme's side of the conversation with one proxy. Pure: random bytes, the time and tickets are handed in. The
/// exchange asks it at each 407 and keeps count of the legs.
public protocol ProxyAuthenticator: Sendable {
    /// Which scheme this is.
    var scheme: ProxyScheme { get }

    /// The name of its challenges, in lower case; the scheme's own unless it travels under another's.
    var challengeName: String { get }

    /// Of several that a proxy offers the one with the greatest strength is taken.
    var strength: Int { get }

    /// True when all legs must travel on one connection (NTLM, Negotiate), so that a connection which cannot be kept
    /// between two legs is the end of the attempt.
    var needsSameConnection: Bool { get }

    /// How many answers one exchange may take, at most 3: each wrong one may count towards an account's lock-out.
    var maximumLegs: Int { get }

    /// True when its last answer was made of the password, so that a refusal counts towards an account's lock-out.
    var risksPassword: Bool { get }

    /// The value of Proxy-Authorization to send before any challenge, for a proxy where this worked before; nil when
    /// the scheme cannot. Does not count as a leg.
    mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String?

    /// The next leg. The challenges are those of this name in the last 407, in order, at least one.
    mutating func answer(to challenges: [Challenge], _ request: ProxyAuthenticationRequest) -> ProxyAuthenticationStep

    /// The next leg out of the token that was asked for.
    mutating func answer(with ticket: [UInt8]) -> ProxyAuthenticationStep
}

extension ProxyAuthenticator {
    /// The scheme's own name.
    public var challengeName: String { scheme.rawValue }

    /// As strong as its scheme.
    public var strength: Int { scheme.strength }

    /// True: most schemes answer with the password, or with a hash of it.
    public var risksPassword: Bool { true }

    /// Nothing: most schemes need a challenge first.
    public mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String? { nil }

    /// Of no use: most schemes ask for none.
    public mutating func answer(with ticket: [UInt8]) -> ProxyAuthenticationStep { .unusable }
}
