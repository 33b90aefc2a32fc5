import Crypto

/// The computation of NTLM version 2 ([MS-NLMP], section 3.3.2).
struct NTLMResponse: Sendable, Equatable {
    /// NtChallengeResponse: the proof and the bytes that it covers.
    let response: [UInt8]
    /// SessionBaseKey, the key of the integrity code.
    let sessionKey: [UInt8]

    /// Computes a response.
    ///
    /// - Parameters:
    ///   - time: eight bytes, the proxy's own time if it sent one.
    ///   - clientChallenge: eight fresh bytes.
    ///   - targetInfo: the pairs as the answer carries them.
    init(
        account: NTLMAccount,
        password: String,
        serverChallenge: [UInt8],
        clientChallenge: [UInt8],
        time: [UInt8],
        targetInfo: [UInt8]
    ) {
        let key = Self.key(account, password)
        let version: [UInt8] = [1, 1, 0, 0, 0, 0, 0, 0]
        let blob = version + time + clientChallenge + [0, 0, 0, 0] + targetInfo + [0, 0, 0, 0]
        let proof = Self.code(key, serverChallenge + blob)
        response = proof + blob
        sessionKey = Self.code(key, proof)
    }

    /// Returns NTOWFv2.
    static func key(_ account: NTLMAccount, _ password: String) -> [UInt8] {
        code(MD4.hash(password.utf16Bytes), (account.user.upperCased + account.domain).utf16Bytes)
    }

    /// Returns an HMAC-MD5.
    static func code(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        Array(HMAC<Insecure.MD5>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}
