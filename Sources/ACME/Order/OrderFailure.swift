import HTTP1

/// Why an order led to no certificate: one sentence for people, and what it means for the next attempts.
public struct OrderFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What a failure is about.
    public enum Kind: Sendable, Hashable {
        /// The CA was not reached, or has trouble of its own: no name is at fault.
        case authority
        /// The CA has not seen what it asked for at the name.
        case validation
        /// The CA refuses the request, or its answer cannot be used.
        case refusal
        /// The CA asks for fewer requests.
        case rateLimit
    }

    /// What it is about.
    public let kind: Kind
    /// Seconds for which the CA asks to wait; nil if it does not.
    public let retryAfter: Int?
    /// What happened and what to do.
    public let description: String

    /// A failure of the network, or another one that this server has found.
    public init(_ kind: Kind, _ what: String, remedy: String, retryAfter: Int? = nil) {
        self.kind = kind
        self.retryAfter = retryAfter
        description = "\(what); \(remedy)"
    }

    /// What a CA has said.
    ///
    /// - Parameters:
    ///   - place: the CA's host.
    ///   - action: what it has refused, as a clause: `refused an account`.
    ///   - challenge: the way of the proof; nil before one.
    init(
        _ problem: ProblemDocument,
        from place: String,
        _ action: String,
        for name: CertificateName,
        status: Int?,
        by challenge: ChallengeKind? = nil,
        retryAfter: Int? = nil
    ) {
        let isLimit = problem.kind == "rateLimited" || (status == 429 && problem.type == nil)
        let kind: Kind =
            isLimit
            ? .rateLimit
            : challenge != nil ? .validation : (status ?? 0) >= 500 || status == 429 ? .authority : .refusal
        let words = problem == .empty ? "HTTP \(status ?? 0)" : problem.words
        self.init(
            kind,
            "the CA \(place) \(action): \(words)",
            remedy: Self.remedy(problem, name, status, challenge),
            retryAfter: retryAfter
        )
    }

    private static func remedy(
        _ problem: ProblemDocument,
        _ name: CertificateName,
        _ status: Int?,
        _ challenge: ChallengeKind?
    ) -> String {
        let port = challenge.map { "port \($0.port)" } ?? "ports 80 and 443"
        switch problem.kind {
        case "rateLimited": return "wait for the next attempt, and let fewer names be claimed if this repeats"
        case "dns": return "let \(name) lead to this server in DNS"
        case "connection", "tls": return "open \(port) of \(name) to the internet, without a front that ends TLS"
        case "unauthorized", "incorrectResponse":
            return "let \(name) lead to this server in DNS, and \(port) to culvert"
        case "caa": return "allow this CA in the CAA record of \(name)"
        case "rejectedIdentifier", "unsupportedIdentifier": return "use a name for which this CA issues certificates"
        case "externalAccountRequired": return "use a CA that needs no external account"
        case "userActionRequired":
            let page = problem.instance.map { " at \($0.escapedForDisplay(limit: 200))" } ?? ""
            return "follow the CA's instructions\(page)"
        case "invalidContact", "unsupportedContact": return "correct email of [acme]"
        case "unauthorizedAccount", "accountDoesNotExist":
            return "remove the account's files from storage of [acme], so that a new account is made"
        default:
            if (status ?? 0) >= 500 || status == 429 { return "wait for the next attempt" }
            return "compare directory of [acme] and the name with what this CA offers"
        }
    }
}
