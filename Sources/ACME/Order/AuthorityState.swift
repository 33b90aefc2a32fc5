/// What is known of a CA between orders.
public struct AuthorityState: Sendable {
    /// What is known of the account.
    enum Account: Sendable, Hashable {
        case unknown
        /// From a file: the CA may have forgotten it.
        case stored(ACMEURL)
        /// The CA has named it in this process.
        case confirmed(ACMEURL)

        var url: ACMEURL? {
            switch self {
            case .unknown: nil
            case .stored(let url), .confirmed(let url): url
            }
        }
    }

    /// The CA's other URLs; nil before they were read.
    public internal(set) var directory: AuthorityDirectory?
    /// The nonce for the next request; each is used once.
    var nonce: String?
    var known = Account.unknown

    /// - Parameter account: the account's URL from a file; nil for a new account.
    public init(account: ACMEURL? = nil) {
        known = account.map { .stored($0) } ?? .unknown
    }

    /// The account's URL; nil before there is one.
    public var account: ACMEURL? { known.url }

    /// The request for a CA's directory.
    public static func request(_ directory: ACMEURL) -> ACMERequest { ACMERequest(.get, directory) }

    /// Takes the directory from the answer; false if the answer is no directory.
    public mutating func learn(_ response: ACMEResponse) -> Bool {
        guard response.status == 200, let read = AuthorityDirectory(response.body) else { return false }
        directory = read
        return true
    }

    mutating func takeNonce() -> String? {
        defer { nonce = nil }
        return nonce
    }
}
