import Mux
import ProxyConnect

/// One way to a session: a server, and the proxy before it or none.
struct DialWay: Sendable, Hashable {
    let endpoint: EndpointURL
    let choice: ProxyChoice

    /// For the operator, without a password.
    var description: String {
        guard case .proxy(let url) = choice else { return "\(endpoint)" }
        return "\(endpoint) through proxy \(url.redacted)"
    }
}

/// What a run has learnt about the ways to its servers: which one worked, which credentials were refused.
struct DialWays: Sendable {
    private struct Refused {
        let choice: ProxyChoice
        let credentials: ProxyCredentials?
        let error: DialError
        let until: Instant
    }

    /// How long refused credentials are not tried again. Accounts are locked by a few tries in about that time.
    static let ban = Duration.seconds(1_800)

    /// The one that worked last.
    private(set) var last: DialWay?
    private var refusals: [Refused] = []

    /// The ways to try, in order: the one that worked last, then those that were named.
    ///
    /// - Throws: ``DialError``: why the proxies are not known.
    func inOrder(_ configuration: ClientConfiguration) async throws(DialError) -> [DialWay] {
        var ways: [DialWay] = []
        for endpoint in configuration.endpoints {
            do {
                for choice in try await configuration.proxies(endpoint) {
                    let way = DialWay(endpoint: endpoint, choice: choice)
                    if !ways.contains(way) { ways.append(way) }
                }
            } catch let error as DialError {
                throw error
            } catch {
                throw DialError(
                    hop: .proxy,
                    endpoint: endpoint.description,
                    proxy: nil,
                    answer: error.userDescription,
                    remedy: "name the proxy with --proxy",
                    disposition: .retry
                )
            }
        }
        guard let last, let index = ways.firstIndex(of: last) else { return ways }
        return [last] + ways[..<index] + ways[(index + 1)...]
    }

    /// How a way may be tried.
    enum Permission {
        case asItIs
        /// Another proxy has refused the credentials that this one would get, and one account would pay for both.
        case withoutCredentials(DialError)
        /// Its proxy has refused the credentials.
        case notNow(DialError)
    }

    /// How a way may be tried now.
    func permission(for way: DialWay, _ configuration: ClientConfiguration, now: Instant) -> Permission {
        let current = refusals.filter { $0.until > now }
        guard !current.isEmpty else { return .asItIs }
        if let own = current.first(where: { $0.choice == way.choice }) { return .notNow(own.error) }
        guard let credentials = Self.credentials(way.choice, configuration),
            let other = current.first(where: { $0.credentials == credentials })
        else { return .asItIs }
        return .withoutCredentials(other.error)
    }

    /// Everything may be tried again.
    mutating func forgetRefusals() {
        refusals = []
    }

    /// A session came about this way.
    mutating func worked(_ way: DialWay) {
        last = way
    }

    /// The proxy has refused the credentials.
    mutating func refused(_ way: DialWay, _ error: DialError, _ configuration: ClientConfiguration, now: Instant) {
        refusals.removeAll { $0.until <= now }
        let credentials = Self.credentials(way.choice, configuration)
        refusals.append(Refused(choice: way.choice, credentials: credentials, error: error, until: now + Self.ban))
    }

    private static func credentials(_ choice: ProxyChoice, _ configuration: ClientConfiguration) -> ProxyCredentials? {
        guard case .proxy(let url) = choice else { return nil }
        return try? configuration.proxyCredentials.credentials(for: url)
    }

    /// What is said where there was nothing to try.
    var nowhere: DialError {
        DialError(
            hop: .connect,
            endpoint: "",
            proxy: nil,
            answer: "no server to dial",
            remedy: "give the server's URL",
            disposition: .configuration
        )
    }
}
