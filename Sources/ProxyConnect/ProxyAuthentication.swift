import HTTP1

/// Which scheme one exchange uses and how far it has come: picks the strongest one at the first challenge, stays with it
/// (falling back to a weaker one would hand the password to whoever can forge a 407, R12), and counts its legs (R10).
struct ProxyAuthentication: Sendable {
    enum Outcome: Sendable {
        /// Send the request again with this value.
        case answer(ProxyScheme, String)
        case fail(ConnectError.Kind)
    }

    /// No scheme needs more than negotiate, challenge, response.
    private static let maximumLegs = 3

    private var authenticators: [any ProxyAuthenticator]
    private let request: ProxyAuthenticationRequest
    private let hasCredentials: Bool
    private var active: Int?
    private(set) var legs = 0
    /// What was sent, without the scheme's name: must not show up in an error.
    private(set) var secrets: [String] = []

    /// - Parameter hasCredentials: tells "none given" from "none of the permitted schemes can use them".
    init(
        _ authenticators: [any ProxyAuthenticator],
        _ request: ProxyAuthenticationRequest,
        hasCredentials: Bool
    ) {
        self.hasCredentials = hasCredentials
        self.authenticators = authenticators.sorted { $0.scheme > $1.scheme }
        self.request = request
    }

    /// The scheme last used.
    private(set) var scheme: ProxyScheme?

    /// True when the next answer must travel on the connection of the one before.
    var isBoundToConnection: Bool {
        guard let active, authenticators.indices.contains(active) else { return false }
        return legs > 1 && authenticators[active].needsSameConnection
    }

    /// What can be sent before any challenge, by the strongest scheme that can. A 407 to it is a first challenge.
    mutating func answerAhead() -> String? {
        for index in authenticators.indices {
            if let value = authenticators[index].answerAhead(request) {
                scheme = authenticators[index].scheme
                return noted(value)
            }
        }
        return nil
    }

    mutating func respond(to head: ResponseHead) -> Outcome {
        let challenges = Challenge.parse(head.fields.values(of: "Proxy-Authenticate"))
        guard hasCredentials else { return .fail(.credentialsNeeded) }
        if let active, authenticators.indices.contains(active) {
            let scheme = authenticators[active].scheme
            let limit = min(authenticators[active].maximumLegs, Self.maximumLegs)
            guard legs < limit, let challenge = challenges.first(of: scheme) else {
                return .fail(.credentialsRefused(scheme))
            }
            return answer(to: challenge, by: active)
        }
        for index in authenticators.indices {
            if let challenge = challenges.first(of: authenticators[index].scheme) {
                active = index
                return answer(to: challenge, by: index)
            }
        }
        return .fail(.noUsableScheme(usable: authenticators.map(\.scheme)))
    }

    private mutating func answer(to challenge: Challenge, by index: Int) -> Outcome {
        let scheme = authenticators[index].scheme
        switch authenticators[index].answer(to: challenge, request) {
        case .answer(let value):
            self.scheme = scheme
            legs += 1
            return .answer(scheme, noted(value))
        case .refused:
            return .fail(.credentialsRefused(scheme))
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

extension [Challenge] {
    fileprivate func first(of scheme: ProxyScheme) -> Challenge? {
        first { $0.scheme.lowercased() == scheme.rawValue }
    }
}
