import Crypto

/// What NTLM version 2 computes ([MS-NLMP] section 3.3.2).
struct NTLMResponse: Sendable, Equatable {
    /// NtChallengeResponse: the proof, and what it was computed over.
    let response: [UInt8]
    /// SessionBaseKey: keys the integrity code.
    let sessionKey: [UInt8]

    /// - Parameters:
    ///   - time: eight bytes, the proxy's own where it sent them.
    ///   - clientChallenge: eight fresh bytes.
    ///   - targetInfo: as the answer carries it.
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

    /// NTOWFv2.
    static func key(_ account: NTLMAccount, _ password: String) -> [UInt8] {
        code(MD4.hash(password.utf16Bytes), (account.user.upperCased + account.domain).utf16Bytes)
    }

    /// HMAC-MD5.
    static func code(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        Array(HMAC<Insecure.MD5>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}

/// The two halves of what a person writes as a user name.
struct NTLMAccount: Sendable, Equatable {
    let domain: String
    let user: String

    /// `DOMAIN\user` is split; `user@domain` is a name by itself, which the directory takes with an empty domain.
    init(_ name: String) {
        if let backslash = name.firstIndex(of: "\\") {
            domain = String(name[..<backslash])
            user = String(name[name.index(after: backslash)...])
        } else {
            domain = ""
            user = name
        }
    }
}

extension String {
    /// UTF-16, low byte first.
    var utf16Bytes: [UInt8] {
        utf16.reduce(into: []) { $0.append(littleEndian: $1) }
    }

    /// In capitals as Windows has them: one scalar for each, so that a German sharp s stays what it is.
    fileprivate var upperCased: String {
        var upper = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            let mapped = scalar.properties.uppercaseMapping.unicodeScalars
            upper.append(mapped.count == 1 ? mapped.first ?? scalar : scalar)
        }
        return String(upper)
    }
}
