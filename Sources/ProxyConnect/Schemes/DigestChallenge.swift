/// A Digest challenge that can be answered (RFC 7616, section 3.3).
///
/// Not enforced: that a parameter occurs once (the first counts), and the length of a nonce.
struct DigestChallenge: Sendable {
    let realm: String
    let nonce: String
    let opaque: String?
    let algorithm: DigestAlgorithm
    /// The algorithm's name as received, for the answer; nil if there was none.
    let algorithmName: String?
    /// Whether `qop=auth` applies. Otherwise the form of RFC 2069 applies, without client nonce and count.
    let hasProtection: Bool
    /// Whether the previous answer was right except for its nonce.
    let isStale: Bool
    /// Whether the proxy wants the user's name hashed.
    let hashesUser: Bool
    /// Whether the proxy accepts names in UTF-8.
    let isUTF8: Bool

    /// Checks a challenge; nil if it cannot be answered. Reasons are a missing realm or nonce, a value that no field
    /// can carry, an unsupported algorithm, and a list of protections without `auth`.
    init?(_ challenge: Challenge) {
        guard let realm = challenge.parameter("realm"), let nonce = challenge.parameter("nonce"),
            let algorithm = DigestAlgorithm(name: challenge.parameter("algorithm")),
            let hasProtection = Self.offersAuth(challenge.parameter("qop"))
        else { return nil }
        let opaque = challenge.parameter("opaque")
        guard [realm, nonce, opaque ?? ""].allSatisfy(QuotedString.canHold) else { return nil }
        self.realm = realm
        self.nonce = nonce
        self.opaque = opaque
        self.algorithm = algorithm
        self.algorithmName = challenge.parameter("algorithm")
        self.hasProtection = hasProtection
        isStale = challenge.isStale
        hashesUser = challenge.parameter("userhash")?.lowercased() == "true"
        isUTF8 = challenge.parameter("charset")?.lowercased() == "utf-8"
    }

    /// Returns whether the list contains `auth`; false without a list or elements, nil if the list has only others.
    private static func offersAuth(_ list: String?) -> Bool? {
        let names = (list ?? "").utf8.split { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: " ") || $0 == 0x09 }
        if names.isEmpty { return false }
        return names.contains { String(Substring($0)).lowercased() == "auth" } ? true : nil
    }
}

extension Challenge {
    /// Whether the challenge has `stale=true` (RFC 7616, section 3.3).
    var isStale: Bool { parameter("stale")?.lowercased() == "true" }
}
