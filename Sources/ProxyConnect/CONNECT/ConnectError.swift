import HTTP1

/// The reason why the proxy opened no tunnel, for a user behind it. Contains no secret, and only escaped bytes from the
/// proxy.
public struct ConnectError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure.
    public enum Kind: Sendable, Equatable {
        /// A 407 without credentials to answer it.
        case credentialsNeeded
        /// A 407 that offers no permitted scheme. Contains the permitted ones that the credentials allow.
        case noUsableScheme(usable: [ProxyScheme])
        /// A 407 that Negotiate could answer, without a ticket to answer it.
        case noTicket(TicketFailure)
        /// A scheme that the proxy offers and does not continue: it sends no challenge for NTLM's first message, or
        /// does not accept the ticket. No password was sent.
        case schemeNotTaken(ProxyScheme)
        /// A 407 to a fresh answer by this scheme.
        case credentialsRefused(ProxyScheme)
        /// A 407 to the Proxy-Authorization among the caller's own fields.
        case ownAuthorizationRefused
        /// A challenge that is malformed for this scheme.
        case malformedChallenge(ProxyScheme)
        /// An end of the connection between two legs of a scheme that needs one connection for all.
        case connectionNotKept(ProxyScheme)
        /// 403.
        case refusedByPolicy
        /// Any status other than 2xx.
        case unexpectedStatus
        /// More interim answers than the limit.
        case tooManyInterimAnswers
        /// Bytes that are not an HTTP answer, with those among the first 64 that had arrived before the illegal one.
        case malformedAnswer(HTTP1Error, start: String)
        /// An end of the connection before the first byte of an answer.
        case closedWithoutAnswer
        /// An end of the connection inside the answer's head.
        case closedWithinAnswer
        /// The caller's deadline, without a byte from the proxy.
        case silence
        /// The caller's deadline, inside the answer.
        case unfinishedAnswer
        /// Credentials that cannot be sent, which is a configuration error.
        case unusableCredentials(CredentialsError)
        /// A host, port or field that cannot be sent, which is a configuration error.
        case unusableRequest(HTTP1Error)
    }

    /// The kind of failure.
    public let kind: Kind
    /// The server that the proxy was asked for, `host:port`.
    public let target: String
    /// The proxy's answer; nil if there was none.
    public internal(set) var answer: ProxyAnswer?
    /// Whether an answer derived from the password was sent and the proxy has not reacted to it. Some proxies drop the
    /// connection over wrong credentials, so a retry may lock the account.
    public internal(set) var isPasswordAtStake = false
    /// Whether the proxy asked for credentials before, and therefore speaks HTTP.
    public internal(set) var hasChallenged = false

    init(_ kind: Kind, target: String, answer: ProxyAnswer? = nil) {
        self.kind = kind
        self.target = target
        self.answer = answer
    }

    /// Whether a 407 could not be answered, or refused the answer (exit code 77). A retry may lock an account only if a
    /// password was sent: `credentialsRefused`, `ownAuthorizationRefused`.
    public var isCredentialRefusal: Bool {
        switch kind {
        case .credentialsNeeded, .noUsableScheme, .credentialsRefused, .ownAuthorizationRefused, .schemeNotTaken: true
        case .noTicket, .malformedChallenge, .connectionNotKept, .refusedByPolicy, .unexpectedStatus,
            .tooManyInterimAnswers, .malformedAnswer, .closedWithoutAnswer, .closedWithinAnswer, .silence,
            .unfinishedAnswer, .unusableCredentials, .unusableRequest:
            false
        }
    }

    /// Whether the proxy closed the connection before or inside its answer.
    public var isClosed: Bool { kind == .closedWithoutAnswer || kind == .closedWithinAnswer }

    /// Whether the status was 403: the proxy's rules forbid this server or port.
    public var isPolicyRefusal: Bool { kind == .refusedByPolicy }

    /// Whether the request cannot be sent as configured (exit code 78).
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

    /// Seconds after which the proxy asks for a retry, without an upper limit; the caller applies one.
    public var retryAfter: Int? { answer?.retryAfter }

    /// One line with the proxy's answer. The caller adds which proxy it was.
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
