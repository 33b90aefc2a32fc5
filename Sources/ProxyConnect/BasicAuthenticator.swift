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
        to challenge: Challenge,
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

/// The standard alphabet with padding (RFC 4648 section 4).
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encoded(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for digit in 0..<4 {
                // Six bits are below 64, the size of the alphabet.
                text.append(digit <= group.count ? alphabet[bits >> (18 - 6 * digit) & 0x3F] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
