/// Digest authentication (RFC 7616) with MD5, SHA-256 and their `-sess` variants: a hash over the password and the
/// proxy's nonce. Of several challenges in one 407 the one with the strongest hash is answered; of equals, the first.
///
/// ```
///            challenge             challenge with stale=true
///   silent ────────────▶ answered ───────────────────────────▶ answered anew
///                           │ any other challenge                  │ any challenge
///                           └────────────▶ refused ◀───────────────┘
/// ```
///
/// - The answer uses `qop=auth`, or the form of RFC 2069 if the challenge has no `qop`. A challenge with only
///   `auth-int` is unusable: it would cover a body, and CONNECT has none.
/// - An eavesdropper can test passwords against an answer offline, which MD5 makes cheaper.
/// - Text is hashed and sent in UTF-8 whatever charset the challenge names. A proxy that expects Latin-1 refuses names,
///   passwords and realms beyond ASCII.
///
/// Not enforced: Unicode's normalisation form C for name and password (RFC 7616, section 4), which most input has. Nor
/// is the proxy's own proof (`Proxy-Authentication-Info`), since the tunnel is open by then.
public struct DigestAuthenticator: ProxyAuthenticator {
    private let credentials: ProxyCredentials
    private let clientNonce: String
    private var answers = 0
    private var lastNonce: String?
    /// The number of answers to `lastNonce`.
    private var nonceCount = 0

    /// Creates an authenticator for one exchange.
    ///
    /// - Parameter clientNonce: fresh random text, at least 16 characters of hexadecimal or base64. Not enforced: its
    ///   randomness. A control character in it fails as a malformed challenge.
    public init(_ credentials: ProxyCredentials, clientNonce: String) {
        self.credentials = credentials
        self.clientNonce = clientNonce
    }

    /// Always `digest`.
    public var scheme: ProxyScheme { .digest }

    /// Always false: the nonce is valid on any connection.
    public var needsSameConnection: Bool { false }

    /// Always 2: another leg if the first nonce was stale.
    public var maximumLegs: Int { 2 }

    /// Always nil: there is no nonce before a challenge, and nonces are not kept between exchanges.
    public mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String? { nil }

    /// Answers the strongest usable challenge. After the first answer, only a challenge with `stale=true` gets another
    /// one. The proxy then confirms the password, so this is not a refusal.
    public mutating func answer(
        to challenges: [Challenge],
        _ request: ProxyAuthenticationRequest
    ) -> ProxyAuthenticationStep {
        var usable = challenges.compactMap { DigestChallenge($0) }
        if answers > 0 {
            guard answers < maximumLegs, challenges.contains(where: \.isStale) else { return .refused }
            usable.removeAll { !$0.isStale }
        }
        let strongest = usable.map(\.algorithm.hash).max()
        guard let challenge = usable.first(where: { $0.algorithm.hash == strongest }) else {
            return .malformedChallenge
        }
        answers += 1
        nonceCount = challenge.nonce == lastNonce ? nonceCount + 1 : 1
        lastNonce = challenge.nonce
        return .answer(value(for: challenge, request))
    }

    /// Returns the answer (RFC 7616, section 3.4).
    private func value(for challenge: DigestChallenge, _ request: ProxyAuthenticationRequest) -> String {
        let isSession = challenge.algorithm.isSession
        var parameters = [
            userParameter(for: challenge),
            "realm=" + QuotedString.encoded(challenge.realm),
            "nonce=" + QuotedString.encoded(challenge.nonce),
            "uri=" + QuotedString.encoded(request.target),
        ]
        if let name = challenge.algorithmName { parameters.append("algorithm=\(name)") }
        if challenge.hasProtection { parameters += ["qop=auth", "nc=\(countText)"] }
        // RFC 2617 forbids cnonce without qop, but a -sess answer cannot be verified without it.
        if challenge.hasProtection || isSession { parameters.append("cnonce=" + QuotedString.encoded(clientNonce)) }
        parameters.append("response=\"\(response(to: challenge, request))\"")
        if let opaque = challenge.opaque { parameters.append("opaque=" + QuotedString.encoded(opaque)) }
        if challenge.hashesUser { parameters.append("userhash=true") }
        return "Digest " + parameters.joined(separator: ", ")
    }

    /// Returns the hash (RFC 7616, sections 3.4.1 to 3.4.3).
    private func response(to challenge: DigestChallenge, _ request: ProxyAuthenticationRequest) -> String {
        let (algorithm, nonce) = (challenge.algorithm, challenge.nonce)
        var secret = algorithm.digest("\(credentials.user):\(challenge.realm):\(credentials.password)")
        if algorithm.isSession { secret = algorithm.digest("\(secret):\(nonce):\(clientNonce)") }
        let subject = algorithm.digest("\(request.method):\(request.target)")
        let count = challenge.hasProtection ? "\(countText):\(clientNonce):auth:" : ""
        return algorithm.digest("\(secret):\(nonce):\(count)\(subject)")
    }

    /// Returns `username`, hashed if the proxy asks for it (RFC 7616, section 3.4.4), or `username*`.
    private func userParameter(for challenge: DigestChallenge) -> String {
        if challenge.hashesUser {
            return "username=\"\(challenge.algorithm.digest("\(credentials.user):\(challenge.realm)"))\""
        }
        let isASCII = credentials.user.utf8.allSatisfy { $0 < 0x80 }
        return challenge.isUTF8 && !isASCII
            ? "username*=" + ExtendedValue.encoded(credentials.user)
            : "username=" + QuotedString.encoded(credentials.user)
    }

    /// The value of `nc`: eight hexadecimal digits.
    private var countText: String {
        let digits = String(nonceCount, radix: 16)
        return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
    }
}

extension DigestAuthenticator: CustomStringConvertible, CustomReflectable {
    /// The scheme and the user: `Digest user:***`.
    public var description: String { "Digest \(credentials)" }

    /// Hides everything but the description.
    public var customMirror: Mirror { Mirror(self, children: ["credentials": credentials.description]) }
}
