/// The URLs of a CA that requests begin with (RFC 8555, section 7.1.1).
public struct AuthorityDirectory: Sendable, Hashable {
    let newNonce: ACMEURL
    let newAccount: ACMEURL
    let newOrder: ACMEURL
    /// Where to ask for the times of renewal; nil if the CA has no such resource (RFC 9773).
    public let renewalInfo: ACMEURL?
    /// Whether an account needs a second account's proof, which is not supported.
    let needsExternalAccount: Bool

    /// Nil if the text is not a directory, or if one of its URLs cannot be used.
    init?(_ body: [UInt8]) {
        guard let read = ACMEResource.decode(ACMEResource.Directory.self, body),
            let newNonce = try? ACMEURL(read.newNonce), let newAccount = try? ACMEURL(read.newAccount),
            let newOrder = try? ACMEURL(read.newOrder)
        else { return nil }
        self.newNonce = newNonce
        self.newAccount = newAccount
        self.newOrder = newOrder
        renewalInfo = read.renewalInfo.flatMap { try? ACMEURL($0) }
        needsExternalAccount = read.meta?.externalAccountRequired ?? false
    }
}
