/// A Digest challenge that can be answered (RFC 7616 section 3.3).
///
/// Not enforced: that a parameter comes once (the first counts), that a nonce has any length.
struct DigestChallenge: Sendable {
    let realm: String
    let nonce: String
    let opaque: String?
    let algorithm: DigestAlgorithm
    /// The algorithm's name as sent, for the answer; nil when there was none.
    let algorithmName: String?
    /// True for `qop=auth`, false for the form of RFC 2069, which has neither a client nonce nor a count.
    let hasProtection: Bool
    /// True when the answer before was right but for its nonce.
    let isStale: Bool
    /// True when the proxy wants the user's name hashed.
    let hashesUser: Bool
    /// True when the proxy says that it takes names in UTF-8.
    let isUTF8: Bool

    /// Nil for what cannot be answered: realm or nonce missing, a value that no field can hold, an algorithm that is
    /// not supported, a list of protections without `auth`.
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

    /// False when there is no list, or one without members; nil when `auth` is not among them.
    private static func offersAuth(_ list: String?) -> Bool? {
        let names = (list ?? "").utf8.split { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: " ") || $0 == 0x09 }
        if names.isEmpty { return false }
        return names.contains { String(Substring($0)).lowercased() == "auth" } ? true : nil
    }
}

extension Challenge {
    /// `stale=true` (RFC 7616 section 3.3).
    var isStale: Bool { parameter("stale")?.lowercased() == "true" }
}
