import HTTP1

/// Which scheme one exchange uses and how far it has come: picks the strongest one at the first challenge, and counts
/// its legs (R10).
///
/// It stays with the scheme once an answer made of the password was refused: falling back to a weaker one would hand
/// the password to whoever can forge a 407 (R12), and try it twice. A scheme that turns out not to work before that, for
/// want of a ticket for instance, gives way to the next.
struct ProxyAuthentication: Sendable {
    enum Outcome: Sendable {
        /// Send the request again with this value.
        case answer(ProxyScheme, String)
        /// Get a token of the system's GSSAPI, made out of these bytes of the proxy's.
        case ticket(input: [UInt8]?)
        case fail(ConnectError.Kind)
    }

    /// No scheme needs more than negotiate, challenge, response.
    static let maximumLegs = 3

    private var authenticators: [any ProxyAuthenticator]
    private let request: ProxyAuthenticationRequest
    private let hasCredentials: Bool
    /// The caller has put a Proxy-Authorization among its fields: no other is sent, and a 407 is a refusal.
    private let hasOwnAuthorization: Bool
    /// The challenges of the last 407.
    private var challenges: [Challenge] = []
    /// The one in use.
    private var active: Int?
    /// Those that turned out not to work with this proxy, in the order of the attempts.
    private var unusable: [Int] = []
    private var ticketFailure: TicketFailure?
    /// The first scheme whose challenge made no sense.
    private var malformed: ProxyScheme?
    private(set) var legs = 0
    /// What was sent, without the scheme's name: must not show up in an error.
    private(set) var secrets: [String] = []

    /// - Parameters:
    ///   - hasCredentials: tells "none given" from "none of the permitted schemes can use them".
    ///   - fields: the caller's own, whose values must not show up in an error.
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

    /// The scheme last used.
    private(set) var scheme: ProxyScheme?

    /// True when the next answer must travel on the connection of the one before.
    var isBoundToConnection: Bool {
        guard let active, authenticators.indices.contains(active) else { return false }
        return legs > 1 && authenticators[active].needsSameConnection
    }

    /// True when what was sent last was made of the password, and nothing has been said to it yet.
    private(set) var isPasswordAtStake = false

    /// True once a challenge has come.
    private(set) var hasBegun = false

    /// True when the answer must not travel on the connection of the one before: a scheme was begun and given up on it
    /// that binds the connection, and squid for one takes no other scheme there.
    private(set) var needsFreshConnection = false

    /// What can be sent before any challenge, by the strongest scheme that can. A 407 to it is a first challenge.
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

    /// What is said to a 407.
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

    /// What is said once the token is there, or is not to be had.
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

    /// Begins with the strongest scheme that is offered and has not failed yet.
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
    /// The values that somebody would not like to see in a message, whole and by their words: short ones are no secrets.
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
