import ByteText

/// NTLM version 2 ([MS-NLMP]; over HTTP [MS-NTHT]): NEGOTIATE, the proxy's CHALLENGE, AUTHENTICATE, all on one
/// connection.
///
/// If the proxy sends its time, the answer carries an integrity code over all three messages. A challenge inside SPNEGO
/// is answered in the same form.
///
/// Not supported: answers of NTLM version 1 and LM, whatever the proxy asks for. The LM field is zero. Messages after
/// the handshake are neither signed nor sealed, and no channel is bound.
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

    /// Creates an authenticator for one exchange.
    ///
    /// - Parameters:
    ///   - credentials: the user as `DOMAIN\user`, `user@domain` or `user`.
    ///   - underNegotiate: for proxies that expect NTLM's messages under the name Negotiate.
    public init(_ credentials: ProxyCredentials, seed: AuthenticationSeed, underNegotiate: Bool = false) {
        account = NTLMAccount(credentials.user)
        password = credentials.password
        self.seed = seed
        isUnderNegotiate = underNegotiate
    }

    /// Always `ntlm`.
    public var scheme: ProxyScheme { .ntlm }

    /// The name `ntlm`, or `negotiate` if the messages use that name.
    public var challengeName: String { isUnderNegotiate ? "negotiate" : "ntlm" }

    /// The strength of NTLM. Under the name Negotiate it is a guess that ranks just above Basic.
    public var strength: Int { isUnderNegotiate ? 10 : ProxyScheme.ntlm.strength }

    /// Always true.
    public var needsSameConnection: Bool { true }

    /// Always 2.
    public var maximumLegs: Int { 2 }

    /// Whether AUTHENTICATE was sent.
    public var risksPassword: Bool {
        if case .answered = state { true } else { false }
    }

    /// Sends NEGOTIATE, then AUTHENTICATE, then reports a refusal. A proxy without a challenge for NEGOTIATE does not
    /// support NTLM and has learned nothing about the password.
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

    /// NEGOTIATE_MESSAGE (section 2.2.1.1), without domain and machine.
    private static var negotiate: [UInt8] {
        var message = NTLMChallenge.signature
        message.append(littleEndian: UInt32(1))
        message.append(littleEndian: NTLMFlags.offered.rawValue)
        return message + Array(repeating: 0, count: 16)
    }

    /// Returns AUTHENTICATE_MESSAGE (section 2.2.1.3).
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
        // Only Unicode represents names outside ASCII in a form that both ends share.
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
        // No version, and space for the integrity code.
        message += Array(repeating: 0, count: 24)
        message += fields.joined()
        guard hasIntegrity else { return message }
        let code = NTLMResponse.code(answer.sessionKey, negotiate + challenge.message + message)
        message.replaceSubrange(integrityOffset..<integrityOffset + 16, with: code)
        return message
    }
}

extension NTLMAuthenticator: CustomStringConvertible, CustomReflectable {
    /// The scheme without credentials.
    public var description: String { "NTLM" }

    /// Hides everything but the description.
    public var customMirror: Mirror { Mirror(self, children: ["scheme": description]) }
}
