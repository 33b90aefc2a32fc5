import ByteText

/// Basic authentication (RFC 7617): the user and the password, in UTF-8 whatever charset the challenge names, in base64.
/// One leg; a second challenge is a refusal. Anyone who sees the bytes knows the password.
public struct BasicAuthenticator: ProxyAuthenticator {
    private let credentials: ProxyCredentials
    private var hasAnswered = false

    /// An authenticator for one exchange.
    ///
    /// - Throws: `colonInUser`, since the first colon ends the name.
    public init(_ credentials: ProxyCredentials) throws(CredentialsError) {
        guard !credentials.user.utf8.contains(UInt8(ascii: ":")) else { throw .colonInUser }
        self.credentials = credentials
    }

    /// Basic.
    public var scheme: ProxyScheme { .basic }

    /// False: any connection will do.
    public var needsSameConnection: Bool { false }

    /// One.
    public var maximumLegs: Int { 1 }

    /// The same value as in an answer.
    public mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String? { value }

    /// The credentials once, then a refusal.
    public mutating func answer(
        to challenges: [Challenge],
        _ request: ProxyAuthenticationRequest
    ) -> ProxyAuthenticationStep {
        guard !hasAnswered else { return .refused }
        hasAnswered = true
        return .answer(value)
    }

    private var value: String {
        "Basic \(Base64.encoded(Array("\(credentials.user):\(credentials.password)".utf8)))"
    }
}
