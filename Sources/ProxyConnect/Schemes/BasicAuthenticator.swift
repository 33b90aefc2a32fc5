import ByteText

/// Basic authentication (RFC 7617): user and password in base64, in UTF-8 whatever charset the challenge names. There
/// is one leg; a second challenge is a refusal. An observer of the bytes learns the password.
public struct BasicAuthenticator: ProxyAuthenticator {
    private let credentials: ProxyCredentials
    private var hasAnswered = false

    /// Creates an authenticator for one exchange.
    ///
    /// - Throws: `colonInUser`, since the first colon ends the name.
    public init(_ credentials: ProxyCredentials) throws(CredentialsError) {
        guard !credentials.user.utf8.contains(UInt8(ascii: ":")) else { throw .colonInUser }
        self.credentials = credentials
    }

    /// Always `basic`.
    public var scheme: ProxyScheme { .basic }

    /// Always false: any connection suffices.
    public var needsSameConnection: Bool { false }

    /// Always 1.
    public var maximumLegs: Int { 1 }

    /// Returns the same value as an answer.
    public mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String? { value }

    /// Returns the credentials once, then a refusal.
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
