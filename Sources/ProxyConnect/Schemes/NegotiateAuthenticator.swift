import ByteText

/// Negotiate (RFC 4559): base64 tokens of the system's GSSAPI, usually a Kerberos ticket for `HTTP@proxyhost`.
///
/// It creates no tokens: it asks the caller for each, with the proxy's input. A proxy that refuses the ticket has not
/// seen a password, so another scheme may follow.
///
/// Not enforced: the proxy's own proof. Traffic behind the proxy is protected end to end or not at all.
public struct NegotiateAuthenticator: ProxyAuthenticator {
    private var hasAnswered = false

    /// Creates an authenticator for one exchange.
    public init() {}

    /// Always `negotiate`.
    public var scheme: ProxyScheme { .negotiate }

    /// Always true: a second token belongs to the connection of the first.
    public var needsSameConnection: Bool { true }

    /// Always 3; Kerberos needs one.
    public var maximumLegs: Int { 3 }

    /// Always false: a ticket is not a password.
    public var risksPassword: Bool { false }

    /// Asks for the next token. A challenge without a token, after one was sent, means that the ticket is refused.
    public mutating func answer(
        to challenges: [Challenge],
        _ request: ProxyAuthenticationRequest
    ) -> ProxyAuthenticationStep {
        guard hasAnswered else { return .ticket(input: nil) }
        guard let token = challenges.lazy.compactMap(\.token68).first else { return .unusable }
        guard let bytes = Base64.decoded(token), !bytes.isEmpty else { return .malformedChallenge }
        return .ticket(input: bytes)
    }

    /// Sends the token.
    public mutating func answer(with ticket: [UInt8]) -> ProxyAuthenticationStep {
        hasAnswered = true
        return .answer("Negotiate \(Base64.encoded(ticket))")
    }
}
