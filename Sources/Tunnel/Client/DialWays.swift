import Mux
import ProxyConnect

/// One way to a session: a server, and the proxy before it or none.
struct DialWay: Sendable, Hashable {
    let endpoint: EndpointURL
    let choice: ProxyChoice
}

/// What a run has learnt about the ways to its servers: which one worked, which credentials were refused.
struct DialWays: Sendable {
    private struct Refused {
        let choice: ProxyChoice
        let credentials: ProxyCredentials?
        let error: DialError
        let until: Moment
    }

    /// How long refused credentials are not tried again. Accounts are locked by a few tries in about that time.
    static let ban = Duration.seconds(1_800)

    private var last: DialWay?
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
                    answer: "\(error)",
                    remedy: "name the proxy with --proxy",
                    disposition: .retry
                )
            }
        }
        guard let last, let index = ways.firstIndex(of: last) else { return ways }
        return [last] + ways[..<index] + ways[(index + 1)...]
    }

    /// Why a way is not to be tried now: its proxy has refused the credentials, or another has refused the same ones,
    /// which one account would pay for; nil where it may be.
    func refusal(of way: DialWay, _ configuration: ClientConfiguration, now: Moment) -> DialError? {
        guard !refusals.isEmpty else { return nil }
        let credentials = Self.credentials(way.choice, configuration)
        return refusals.first { refused in
            let isSame = refused.choice == way.choice || (credentials != nil && refused.credentials == credentials)
            return isSame && refused.until > now
        }?.error
    }

    /// A session came about this way.
    mutating func worked(_ way: DialWay) {
        last = way
    }

    /// The proxy has refused the credentials.
    mutating func refused(_ way: DialWay, _ error: DialError, _ configuration: ClientConfiguration, now: Moment) {
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
