import HTTP1

/// Why there is no tunnel through the proxy, for a person who sits behind it. Holds no secret, and no byte of the
/// proxy's that has not been escaped.
public struct ConnectError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One case for each way to fail.
    public enum Kind: Sendable, Equatable {
        /// 407, and there are no credentials.
        case credentialsNeeded
        /// 407, and none of the schemes offered is one that we may answer with. Holds those.
        case noUsableScheme(usable: [ProxyScheme])
        /// 407 that Negotiate could answer, and there is no ticket to answer with.
        case noTicket(TicketFailure)
        /// The proxy offers this scheme and does not go on with it: it has no challenge for NTLM's first message, or does
        /// not take the ticket. No password was sent.
        case schemeNotTaken(ProxyScheme)
        /// 407 to a fresh answer by this scheme.
        case credentialsRefused(ProxyScheme)
        /// 407 to the Proxy-Authorization that stands among the caller's own fields.
        case ownAuthorizationRefused
        /// A challenge that makes no sense for this scheme.
        case malformedChallenge(ProxyScheme)
        /// The connection ended between two legs of a scheme that needs one connection for all.
        case connectionNotKept(ProxyScheme)
        /// 403.
        case refusedByPolicy
        /// Any other status but 2xx.
        case unexpectedStatus
        /// More interim answers than anyone needs.
        case tooManyInterimAnswers
        /// Bytes that are no HTTP answer, and those of the first 64 that were there when the illegal one came.
        case malformedAnswer(HTTP1Error, start: String)
        /// The connection ended before the first byte of an answer.
        case closedWithoutAnswer
        /// The connection ended within the answer's head.
        case closedWithinAnswer
        /// The caller's deadline passed without a byte.
        case silence
        /// The caller's deadline passed within the answer.
        case unfinishedAnswer
        /// The credentials cannot be sent: a matter of configuration.
        case unusableCredentials(CredentialsError)
        /// The host, the port or a field of ours cannot be sent: a matter of configuration.
        case unusableRequest(HTTP1Error)
    }

    /// What happened.
    public let kind: Kind
    /// The server that the proxy was asked for: `host:port`.
    public let target: String
    /// What the proxy answered, where it did.
    public internal(set) var answer: ProxyAnswer?
    /// True when an answer made of the password was sent, and nothing has been said to it: some proxies drop a connection
    /// over wrong credentials, so that trying again may lock the account.
    public internal(set) var isPasswordAtStake = false
    /// True when the proxy had asked for credentials before, and so speaks HTTP.
    public internal(set) var hasChallenged = false

    init(_ kind: Kind, target: String, answer: ProxyAnswer? = nil) {
        self.kind = kind
        self.target = target
        self.answer = answer
    }

    /// True for a 407 that could not be answered, or was said to our answer (exit code 77). Trying again may lock an
    /// account only where a password was sent: `credentialsRefused`, `ownAuthorizationRefused`.
    public var isCredentialRefusal: Bool {
        switch kind {
        case .credentialsNeeded, .noUsableScheme, .credentialsRefused, .ownAuthorizationRefused, .schemeNotTaken: true
        case .noTicket, .malformedChallenge, .connectionNotKept, .refusedByPolicy, .unexpectedStatus,
            .tooManyInterimAnswers, .malformedAnswer, .closedWithoutAnswer, .closedWithinAnswer, .silence,
            .unfinishedAnswer, .unusableCredentials, .unusableRequest:
            false
        }
    }

    /// True when the proxy closed the connection instead of answering, or within its answer.
    public var isClosed: Bool { kind == .closedWithoutAnswer || kind == .closedWithinAnswer }

    /// True for a 403: the proxy's rules forbid this server or this port.
    public var isPolicyRefusal: Bool { kind == .refusedByPolicy }

    /// True when what we were told to send cannot be sent (exit code 78).
    public var isConfigurationError: Bool {
        switch kind {
        case .unusableCredentials, .unusableRequest: true
        case .credentialsNeeded, .noUsableScheme, .noTicket, .schemeNotTaken, .credentialsRefused,
            .ownAuthorizationRefused, .malformedChallenge,
            .connectionNotKept, .refusedByPolicy, .unexpectedStatus, .tooManyInterimAnswers, .malformedAnswer,
            .closedWithoutAnswer,
            .closedWithinAnswer, .silence, .unfinishedAnswer:
            false
        }
    }

    /// Seconds after which the proxy wants to be asked again. Not capped: that is the caller's business.
    public var retryAfter: Int? { answer?.retryAfter }

    /// One line: what the proxy answered. Which proxy that was is the caller's to say.
    public var description: String {
        var line = summary
        guard let answer else { return line }
        line += ": it answered \(answer.statusLine)"
        if !answer.details.isEmpty { line += " (\(answer.details))" }
        if let page = answer.page { line += ": \(page)" }
        return line
    }

    private var summary: String {
        switch kind {
        case .credentialsNeeded: "the proxy wants credentials"
        case .noUsableScheme: "the proxy offers no authentication scheme that may be used"
        case .noTicket(let failure):
            "the proxy wants a Kerberos ticket (Negotiate), and there is none (\(failure.reason))"
        case .schemeNotTaken(.negotiate): "the proxy does not take the Kerberos ticket (Negotiate)"
        case .schemeNotTaken(let scheme): "the proxy offers \(scheme.displayName), and does not go on with it"
        case .credentialsRefused(let scheme): "the proxy refused the credentials (\(scheme.displayName))"
        case .ownAuthorizationRefused: "the proxy refused the Proxy-Authorization of --proxy-header"
        case .malformedChallenge(let scheme): "the proxy sent a malformed \(scheme.displayName) challenge"
        case .connectionNotKept(let scheme):
            "the proxy does not keep the connection that \(scheme.displayName) needs"
        case .refusedByPolicy: "the proxy forbids a tunnel to \(target)"
        case .unexpectedStatus: "the proxy opened no tunnel to \(target)"
        case .tooManyInterimAnswers: "the proxy sent interim answers without end"
        case .malformedAnswer(let error, let start):
            "the proxy's answer is no HTTP (\(error))" + (start.isEmpty ? "" : ": it begins with \"\(start)\"")
        case .closedWithoutAnswer: "the proxy closed the connection without an answer"
        case .closedWithinAnswer: "the proxy closed the connection in the middle of its answer"
        case .silence: "the proxy did not answer in time"
        case .unfinishedAnswer: "the proxy did not finish its answer in time"
        case .unusableCredentials(let error): "\(error)"
        case .unusableRequest(let error): "the request for \(target) cannot be sent to the proxy: \(error)"
        }
    }
}
