/// One scheme's side of the conversation with one proxy. It is pure: random bytes, the time and tickets are passed in.
/// The exchange calls it at each 407 and counts the legs.
public protocol ProxyAuthenticator: Sendable {
    /// The scheme.
    var scheme: ProxyScheme { get }

    /// The lower-case name of its challenges, usually the scheme's own.
    var challengeName: String { get }

    /// The rank: of the offered authenticators the one with the greatest strength is used.
    var strength: Int { get }

    /// Whether all legs must use one connection (NTLM, Negotiate). The attempt fails if the connection ends between two
    /// legs.
    var needsSameConnection: Bool { get }

    /// Most answers in one exchange, at most 3. Each wrong one may count towards an account's lock-out.
    var maximumLegs: Int { get }

    /// Whether the last answer was derived from the password, so that a refusal counts towards an account's lock-out.
    var risksPassword: Bool { get }

    /// Returns the value of Proxy-Authorization to send before any challenge, for a proxy where this worked before; nil
    /// if the scheme cannot. Does not count as a leg.
    mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String?

    /// Returns the next leg. The challenges are those of this name in the last 407, in order, at least one.
    mutating func answer(to challenges: [Challenge], _ request: ProxyAuthenticationRequest) -> ProxyAuthenticationStep

    /// Returns the next leg for the requested token.
    mutating func answer(with ticket: [UInt8]) -> ProxyAuthenticationStep
}

extension ProxyAuthenticator {
    /// The scheme's own name.
    public var challengeName: String { scheme.rawValue }

    /// The scheme's strength.
    public var strength: Int { scheme.strength }

    /// True by default: most schemes send the password or a hash of it.
    public var risksPassword: Bool { true }

    /// Nil by default: most schemes need a challenge first.
    public mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String? { nil }

    /// Unusable by default: most schemes request no token.
    public mutating func answer(with ticket: [UInt8]) -> ProxyAuthenticationStep { .unusable }
}
