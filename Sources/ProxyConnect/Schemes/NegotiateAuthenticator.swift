import ByteText

/// Negotiate (RFC 4559): tokens of the system's GSSAPI, in practice a Kerberos ticket for `HTTP@proxyhost`, in base64.
///
/// It makes no tokens itself: each is asked of the caller, with what the proxy sent. A proxy that does not take the
/// ticket has seen no password, so that another scheme may follow.
///
/// Not enforced: that the proxy proves itself in turn. What travels behind it is protected end to end or not at all.
public struct NegotiateAuthenticator: ProxyAuthenticator {
    private var hasAnswered = false

    /// An authenticator for one exchange.
    public init() {}

    /// Negotiate.
    public var scheme: ProxyScheme { .negotiate }

    /// True: a second token belongs to the first one's connection.
    public var needsSameConnection: Bool { true }

    /// Three, of which Kerberos needs one.
    public var maximumLegs: Int { 3 }

    /// False: a ticket is no password.
    public var risksPassword: Bool { false }

    /// Asks for the next token. A challenge without a token after ours says that the ticket is not taken.
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

/// Why there is no token of the system's GSSAPI.
public struct TicketFailure: Error, Sendable, Equatable {
    /// What the library says, or why there is no library. No secret.
    public let reason: String
    /// What the user can do about it.
    public let remedy: String

    /// A failure, in words for a person.
    public init(reason: String, remedy: String) {
        self.reason = reason
        self.remedy = remedy
    }

    /// Nothing came in the time that a hop has.
    public static var late: TicketFailure {
        TicketFailure(
            reason: "no Kerberos ticket came in time",
            remedy: "check that the network reaches the Kerberos server (KDC)"
        )
    }
}
