/// An authenticator's reaction to a challenge.
public enum ProxyAuthenticationStep: Sendable, Equatable {
    /// The value of Proxy-Authorization for the next leg.
    case answer(String)
    /// Get a token from the system's GSSAPI with the proxy's input; nil for the first token.
    case ticket(input: [UInt8]?)
    /// The challenge follows the last leg: the proxy refuses the credentials.
    case refused
    /// The scheme does not work with this proxy, and no password was at stake. Another scheme may follow.
    case unusable
    /// The challenge is malformed for the scheme.
    case malformedChallenge
}
