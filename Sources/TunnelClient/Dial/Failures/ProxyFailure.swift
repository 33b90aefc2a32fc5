import ProxyConnect
import TunnelCore

/// A failed exchange with a proxy.
enum ProxyFailure: Sendable {
    /// The exchange by CONNECT.
    case connect(ConnectError)
    /// The exchange by SOCKS.
    case socks(SocksError)
    /// The credentials for the proxy cannot be read.
    case credentials(ProxyCredentialsFailure)
    /// The proxy closed as many connections as one exchange may take.
    case tooManyConnections

    /// The pause after a proxy gave no answer to a password: a few tries in half an hour may lock an account.
    static let pauseAfterSilence = 300

    /// Whether the proxy gave no answer to a password, so that the password may be wrong.
    var isPasswordAtStake: Bool {
        switch self {
        case .connect(let error): error.isPasswordAtStake
        case .socks(let error): error.kind == .closed(.authentication) || error.kind == .silence(.authentication)
        case .credentials, .tooManyConnections: false
        }
    }

    private var isClosed: Bool {
        switch self {
        case .connect(let error): error.isClosed
        case .socks(let error): error.kind == .closed(.authentication)
        case .credentials, .tooManyConnections: false
        }
    }

    /// The error for a person.
    ///
    /// - Parameter mayLockAccount: whether the password may be wrong, so that further tries must wait.
    func error(on route: DialRoute, mayLockAccount: Bool) -> DialError {
        var result: DialError
        switch self {
        case .connect(let error): result = Self.error(error, on: route)
        case .socks(let error): result = Self.error(error, on: route)
        case .credentials(let error): result = Self.error(error, on: route)
        case .tooManyConnections:
            let answer = "the proxy closes the connection after each of its answers"
            result = route.error(.proxy, answer, "ask the proxy's administrators", .retry)
        }
        guard mayLockAccount else { return result }
        result.retryAfter = max(result.retryAfter ?? 0, Self.pauseAfterSilence)
        result.waitReason =
            "the proxy gave no answer to the password, and further tries may lock the account; SIGHUP or culvert renew "
            + "dials at once"
        if isClosed { result.disposition = .refusedAtFirst }
        return result
    }

    // MARK: CONNECT

    private static func error(_ error: ConnectError, on route: DialRoute) -> DialError {
        var result = route.error(.proxy, error.description, error.remedy, disposition(error))
        if case .closedWithoutAnswer = error.kind, route.proxy?.scheme == .https, !error.hasChallenged {
            // With TLS 1.3 the proxy judges the client's certificate after the handshake is complete for the client.
            result.remedy =
                "the proxy may want a certificate of yours, or another one: give it with --proxy-certificate and --proxy-key"
        }
        result.retryAfter = error.retryAfter
        result.isPasswordRefusal = result.disposition == .refused
        switch error.kind {
        case .closedWithoutAnswer, .closedWithinAnswer, .silence, .unfinishedAnswer, .malformedAnswer:
            result.isFinal = error.isPasswordAtStake
        default: result.isFinal = true
        }
        return result
    }

    private static func disposition(_ error: ConnectError) -> DialError.Disposition {
        if error.isConfigurationError { return .configuration }
        switch error.kind {
        case .noTicket, .schemeNotTaken, .credentialsNeeded, .noUsableScheme, .refusedByPolicy:
            // Nothing was sent that could lock an account, and a later try may succeed.
            return .refusedAtFirst
        case .credentialsRefused, .ownAuthorizationRefused:
            return .refused
        case .malformedAnswer:
            return .notOursAtFirst
        default:
            return .retry
        }
    }

    // MARK: SOCKS

    private static func error(_ error: SocksError, on route: DialRoute) -> DialError {
        let disposition = disposition(error)
        var result = route.error(.proxy, error.description, error.remedy, disposition)
        result.isPasswordRefusal = disposition == .refused
        switch error.kind {
        case .closed(.greeting), .silence(.greeting), .closed(.request), .silence(.request), .malformedAnswer: break
        default: result.isFinal = true
        }
        return result
    }

    private static func disposition(_ error: SocksError) -> DialError.Disposition {
        if error.isConfigurationError { return .configuration }
        if case .credentialsNeeded = error.kind { return .refusedAtFirst }
        if error.isCredentialRefusal { return .refused }
        if error.isPolicyRefusal { return .refusedAtFirst }
        if case .malformedAnswer = error.kind { return .notOursAtFirst }
        return .retry
    }

    // MARK: Credentials

    private static func error(_ error: ProxyCredentialsFailure, on route: DialRoute) -> DialError {
        let remedy =
            switch error {
            case .noPassword(let user):
                "give it with --proxy-password-file FILE or CULVERT_PROXY_PASSWORD (an empty one as --proxy-user "
                    + "'\(user.escapedForDisplay()):')"
            case .netrc: "correct the netrc file"
            }
        return route.error(.proxy, error.description, remedy, .configuration)
    }
}
