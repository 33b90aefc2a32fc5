import HTTP1

/// The choice of a scheme for one exchange and its progress. The strongest scheme is chosen at the first challenge, and
/// its legs are counted (R10).
///
/// After a refused answer that was derived from the password, the scheme does not change. A weaker one would reveal the
/// password to an attacker who forges a 407 (R12), and try it twice. A scheme that fails earlier, for example without a
/// ticket, gives way to the next one.
struct ProxyAuthentication: Sendable {
    enum Outcome: Sendable {
        /// Send the request again with this value.
        case answer(ProxyScheme, String)
        /// Get a token from the system's GSSAPI with the proxy's input.
        case ticket(input: [UInt8]?)
        case fail(ConnectError.Kind)
    }

    /// Most legs of a scheme: negotiate, challenge, response.
    static let maximumLegs = 3

    private var authenticators: [any ProxyAuthenticator]
    private let request: ProxyAuthenticationRequest
    private let hasCredentials: Bool
    /// Whether the caller's fields contain Proxy-Authorization. No other is sent then, and a 407 is a refusal.
    private let hasOwnAuthorization: Bool
    /// The challenges of the last 407.
    private var challenges: [Challenge] = []
    /// The index of the authenticator in use.
    private var active: Int?
    /// The authenticators that failed with this proxy, in the order of the attempts.
    private var unusable: [Int] = []
    private var ticketFailure: TicketFailure?
    /// The first scheme with a malformed challenge.
    private var malformed: ProxyScheme?
    private(set) var legs = 0
    /// The values sent, without the scheme's name. They must not appear in an error.
    private(set) var secrets: [String] = []

    /// Creates the state of one exchange.
    ///
    /// - Parameters:
    ///   - hasCredentials: distinguishes missing credentials from permitted schemes that cannot use them.
    ///   - fields: the caller's own fields, whose values must not appear in an error.
    init(
        _ authenticators: [any ProxyAuthenticator],
        _ request: ProxyAuthenticationRequest,
        hasCredentials: Bool,
        fields: HeaderFields
    ) {
        self.hasCredentials = hasCredentials
        hasOwnAuthorization = fields.first("Proxy-Authorization") != nil
        secrets = fields.secrets
        self.authenticators = authenticators.sorted { $0.strength > $1.strength }
        self.request = request
    }

    /// The scheme used last.
    private(set) var scheme: ProxyScheme?

    /// Whether the next answer must use the connection of the one before.
    var isBoundToConnection: Bool {
        guard let active, authenticators.indices.contains(active) else { return false }
        return legs > 1 && authenticators[active].needsSameConnection
    }

    /// Whether the last answer was derived from the password and the proxy has not reacted to it.
    private(set) var isPasswordAtStake = false

    /// Whether a challenge has arrived.
    private(set) var hasBegun = false

    /// Whether the next answer must use another connection. A scheme that binds the connection was abandoned on this
    /// one, and squid, for example, accepts no other scheme there.
    private(set) var needsFreshConnection = false

    /// Returns the value to send before any challenge, by the strongest scheme that can. A 407 to it is a first
    /// challenge.
    mutating func answerAhead() -> String? {
        for index in authenticators.indices {
            if let value = authenticators[index].answerAhead(request) {
                scheme = authenticators[index].scheme
                isPasswordAtStake = true
                return noted(value)
            }
        }
        return nil
    }

    /// Returns the reaction to a 407.
    mutating func respond(to head: ResponseHead) -> Outcome {
        challenges = Challenge.parse(head.fields.values(of: "Proxy-Authenticate"))
        needsFreshConnection = false
        isPasswordAtStake = false
        hasBegun = true
        guard !hasOwnAuthorization else { return .fail(.ownAuthorizationRefused) }
        guard let active, authenticators.indices.contains(active) else { return takeStrongest() }
        let authenticator = authenticators[active]
        let offered = challenges.named(authenticator.challengeName)
        if offered.isEmpty, !authenticator.risksPassword { return take(.unusable, of: active) }
        guard legs < min(authenticator.maximumLegs, Self.maximumLegs), !offered.isEmpty else {
            return .fail(.credentialsRefused(authenticator.scheme))
        }
        return take(authenticators[active].answer(to: offered, request), of: active)
    }

    /// Returns the reaction to a token or its absence.
    mutating func respond(with ticket: Result<[UInt8], TicketFailure>) -> Outcome {
        guard let active, authenticators.indices.contains(active) else { return takeStrongest() }
        switch ticket {
        case .success(let token):
            return take(authenticators[active].answer(with: token), of: active)
        case .failure(let failure):
            ticketFailure = failure
            return take(.unusable, of: active)
        }
    }

    /// Starts the strongest scheme that is offered and has not failed.
    private mutating func takeStrongest() -> Outcome {
        if let active, legs > 0, authenticators[active].needsSameConnection { needsFreshConnection = true }
        active = nil
        legs = 0
        for index in authenticators.indices where !unusable.contains(index) {
            let offered = challenges.named(authenticators[index].challengeName)
            guard !offered.isEmpty else { continue }
            active = index
            return take(authenticators[index].answer(to: offered, request), of: index)
        }
        if let malformed { return .fail(.malformedChallenge(malformed)) }
        if let ticketFailure { return .fail(.noTicket(ticketFailure)) }
        if let index = unusable.first { return .fail(.schemeNotTaken(authenticators[index].scheme)) }
        guard hasCredentials else { return .fail(.credentialsNeeded) }
        return .fail(.noUsableScheme(usable: Set(authenticators.map(\.scheme)).sorted(by: >)))
    }

    private mutating func take(_ step: ProxyAuthenticationStep, of index: Int) -> Outcome {
        let scheme = authenticators[index].scheme
        switch step {
        case .answer(let value):
            self.scheme = scheme
            legs += 1
            isPasswordAtStake = authenticators[index].risksPassword
            return .answer(scheme, noted(value))
        case .ticket(let input):
            return .ticket(input: input)
        case .refused:
            return .fail(.credentialsRefused(scheme))
        case .unusable:
            unusable.append(index)
            return takeStrongest()
        case .malformedChallenge where legs == 0:
            malformed = malformed ?? scheme
            unusable.append(index)
            return takeStrongest()
        case .malformedChallenge:
            return .fail(.malformedChallenge(scheme))
        }
    }

    private mutating func noted(_ value: String) -> String {
        let secret = value.utf8.drop { $0 != UInt8(ascii: " ") }.dropFirst()
        secrets.append(String(Substring(secret)))
        return value
    }
}

extension HeaderFields {
    /// The values that must not appear in a message, whole and word by word. Short words are not secrets.
    public var secrets: [String] {
        flatMap { field in [field.value] + field.value.split(separator: " ").map(String.init) }
            .filter { $0.utf8.count >= 8 }
    }
}

extension [Challenge] {
    fileprivate func named(_ name: String) -> [Challenge] {
        filter { $0.scheme.lowercased() == name }
    }
}
