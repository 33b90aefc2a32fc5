import Mux
import ProxyConnect

/// Decides which ways to a server are tried, in which order, and with which credentials.
///
/// It remembers for one run which way worked, and which proxies refused which credentials.
struct DialPlan: Sendable {
    private struct Refused {
        let choice: ProxyChoice
        let credentials: ProxyCredentials?
        let error: DialError
        let until: Instant
    }

    /// The time without another try of refused credentials: a few tries lock an account for about as long.
    static let ban = Duration.seconds(1_800)

    /// The time after the loss of a carrier in which only the session's own server is dialled: another server would end
    /// the streams. Visitors wait as long.
    static let loyalty = Duration.seconds(15)

    /// The way that worked last.
    private(set) var last: DialWay?
    private var refusals: [Refused] = []

    /// The ways to try, in order: the one that worked last, then those of the configuration.
    ///
    /// - Parameter avoided: endpoints that are tried behind the others.
    /// - Throws: ``DialError`` if the proxies are not known.
    func ways(
        _ configuration: ClientConfiguration,
        avoiding avoided: Set<EndpointURL> = []
    ) async throws(DialError) -> [DialWay] {
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
        if let last, let index = ways.firstIndex(of: last) { ways.insert(ways.remove(at: index), at: 0) }
        return ways.filter { !avoided.contains($0.endpoint) } + ways.filter { avoided.contains($0.endpoint) }
    }

    /// The only server to dial for a session; nil for all.
    ///
    /// - Parameter time: the time since the session lost its carrier; zero if it has one.
    func soleEndpoint(withoutCarrierFor time: Duration) -> EndpointURL? {
        time > Self.loyalty ? nil : last?.endpoint
    }

    /// The permission to try a way.
    enum Permission {
        case granted
        /// Another proxy has refused the credentials that this one would get, and both would count for one account.
        case withoutCredentials(DialError)
        /// Its proxy has refused the credentials.
        case denied(DialError)
    }

    /// The permission to try a way now.
    func permission(for way: DialWay, _ configuration: ClientConfiguration, now: Instant) -> Permission {
        let current = refusals.filter { $0.until > now }
        guard !current.isEmpty else { return .granted }
        if let own = current.first(where: { $0.choice == way.choice }) { return .denied(own.error) }
        guard let credentials = Self.credentials(way.choice, configuration),
            let other = current.first(where: { $0.credentials == credentials })
        else { return .granted }
        return .withoutCredentials(other.error)
    }

    /// Permits all ways again.
    mutating func forgetRefusals() {
        refusals = []
    }

    /// Records that a session was reached by this way.
    mutating func worked(_ way: DialWay) {
        last = way
    }

    /// Records that the proxy of a way has refused the credentials.
    mutating func refused(_ way: DialWay, _ error: DialError, _ configuration: ClientConfiguration, now: Instant) {
        refusals.removeAll { $0.until <= now }
        let credentials = Self.credentials(way.choice, configuration)
        refusals.append(Refused(choice: way.choice, credentials: credentials, error: error, until: now + Self.ban))
    }

    private static func credentials(_ choice: ProxyChoice, _ configuration: ClientConfiguration) -> ProxyCredentials? {
        guard case .proxy(let url) = choice else { return nil }
        return try? configuration.proxyCredentials.credentials(for: url)
    }
}
