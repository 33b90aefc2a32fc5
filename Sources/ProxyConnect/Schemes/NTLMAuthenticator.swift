import ByteText

/// NTLM version 2 ([MS-NLMP], over HTTP [MS-NTHT]): NEGOTIATE, the proxy's CHALLENGE, AUTHENTICATE, all on one
/// connection. Where the proxy sends its time, the answer carries an integrity code over all three messages. A challenge
/// that is wrapped in SPNEGO is answered alike.
///
/// Never computed: NTLM version 1 and LM answers, whatever the proxy asks for; the LM field is zero. Nothing is signed
/// or sealed afterwards, and no channel is bound.
public struct NTLMAuthenticator: ProxyAuthenticator {
    private enum State: Sendable {
        case start
        case negotiated([UInt8])
        case answered
    }

    private let account: NTLMAccount
    private let password: String
    private let seed: AuthenticationSeed
    private let isUnderNegotiate: Bool
    private var state = State.start

    /// An authenticator for one exchange.
    ///
    /// - Parameters:
    ///   - credentials: the user as `DOMAIN\user`, `user@domain` or `user`.
    ///   - underNegotiate: for proxies that take NTLM's messages under the name Negotiate.
    public init(_ credentials: ProxyCredentials, seed: AuthenticationSeed, underNegotiate: Bool = false) {
        account = NTLMAccount(credentials.user)
        password = credentials.password
        self.seed = seed
        isUnderNegotiate = underNegotiate
    }

    /// NTLM.
    public var scheme: ProxyScheme { .ntlm }

    /// `ntlm`, or `negotiate` where it travels under that name.
    public var challengeName: String { isUnderNegotiate ? "negotiate" : "ntlm" }

    /// Under the name Negotiate it is a guess, made where nothing but Basic is left.
    public var strength: Int { isUnderNegotiate ? 10 : ProxyScheme.ntlm.strength }

    /// True.
    public var needsSameConnection: Bool { true }

    /// Two.
    public var maximumLegs: Int { 2 }

    /// True once AUTHENTICATE has been sent.
    public var risksPassword: Bool {
        if case .answered = state { true } else { false }
    }

    /// NEGOTIATE, then AUTHENTICATE, then a refusal. A proxy that has no challenge for NEGOTIATE does not do NTLM, and
    /// has seen nothing of the password.
    public mutating func answer(
        to challenges: [Challenge],
        _ request: ProxyAuthenticationRequest
    ) -> ProxyAuthenticationStep {
        switch state {
        case .start:
            let message = Self.negotiate
            state = .negotiated(message)
            return .answer(value(message))
        case .negotiated(let negotiate):
            guard let token = challenges.lazy.compactMap(\.token68).first else { return .unusable }
            guard let bytes = Base64.decoded(token) else { return .malformedChallenge }
            let wrapped = SPNEGO.message(in: bytes)
            guard let challenge = NTLMChallenge(wrapped ?? bytes) else { return .malformedChallenge }
            state = .answered
            let message = authenticate(challenge, negotiate)
            return .answer(value(wrapped == nil ? message : SPNEGO.response(message)))
        case .answered:
            return .refused
        }
    }

    private func value(_ message: [UInt8]) -> String {
        "\(isUnderNegotiate ? "Negotiate" : "NTLM") \(Base64.encoded(message))"
    }

    /// NEGOTIATE_MESSAGE (section 2.2.1.1), which names neither domain nor machine.
    private static var negotiate: [UInt8] {
        var message = NTLMChallenge.signature
        message.append(littleEndian: UInt32(1))
        message.append(littleEndian: NTLMFlags.offered.rawValue)
        return message + Array(repeating: 0, count: 16)
    }

    /// AUTHENTICATE_MESSAGE (section 2.2.1.3).
    private func authenticate(_ challenge: NTLMChallenge, _ negotiate: [UInt8]) -> [UInt8] {
        let time = challenge.targetInfo.timestamp
        let hasIntegrity = time != nil
        var ownTime: [UInt8] = []
        ownTime.append(littleEndian: seed.fileTime)
        let answer = NTLMResponse(
            account: account,
            password: password,
            serverChallenge: challenge.serverChallenge,
            clientChallenge: seed.clientChallenge,
            time: time ?? ownTime,
            targetInfo: challenge.targetInfo.encoded(integrity: hasIntegrity)
        )
        var flags = challenge.flags.intersection(.offered)
        // Names outside of ASCII have no other form that both ends would agree on.
        if !(account.user + account.domain).utf8.allSatisfy({ $0 < 0x80 }) { flags.insert(.unicode) }
        if flags.contains(.unicode) { flags.remove(.oem) }
        let encoded = { (text: String) in flags.contains(.unicode) ? text.utf16Bytes : Array(text.utf8) }

        let emptyLM = [UInt8](repeating: 0, count: 24)
        let fields = [emptyLM, answer.response, encoded(account.domain), encoded(account.user), [], []]
        let integrityOffset = 72
        var message = NTLMChallenge.signature
        message.append(littleEndian: UInt32(3))
        var offset = integrityOffset + 16
        for field in fields {
            message.append(littleEndian: UInt16(truncatingIfNeeded: field.count))
            message.append(littleEndian: UInt16(truncatingIfNeeded: field.count))
            message.append(littleEndian: UInt32(truncatingIfNeeded: offset))
            offset += field.count
        }
        message.append(littleEndian: flags.rawValue)
        // No version, and room for the integrity code.
        message += Array(repeating: 0, count: 24)
        message += fields.joined()
        guard hasIntegrity else { return message }
        let code = NTLMResponse.code(answer.sessionKey, negotiate + challenge.message + message)
        message.replaceSubrange(integrityOffset..<integrityOffset + 16, with: code)
        return message
    }
}

extension NTLMAuthenticator: CustomStringConvertible, CustomReflectable {
    /// The scheme, and nothing of the credentials.
    public var description: String { "NTLM" }

    /// Shows nothing but the description.
    public var customMirror: Mirror { Mirror(self, children: ["scheme": description]) }
}
