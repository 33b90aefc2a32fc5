import ProxyConnect

/// One way to a session: a server, and the proxy before it or none.
struct DialWay: Sendable, Hashable {
    let endpoint: EndpointURL
    let choice: ProxyChoice
}

/// What a run has learnt about the ways to its servers: which one worked, which proxies have said no.
struct DialWays: Sendable {
    private var last: DialWay?
    private var refusals: [ProxyChoice: DialError] = [:]

    /// The ways to try, in order: the one that worked last, then those that were named, without the proxies that have
    /// refused the credentials in this run.
    ///
    /// - Throws: ``DialError``: the last refusal where nothing else is left, or why the proxies are not known.
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
        let open = ways.filter { refusals[$0.choice] == nil }
        if open.isEmpty, let refusal = ways.lazy.compactMap({ refusals[$0.choice] }).first { throw refusal }
        guard let last, let index = open.firstIndex(of: last) else { return open }
        return [last] + open[..<index] + open[(index + 1)...]
    }

    /// A session came about this way.
    mutating func worked(_ way: DialWay) {
        last = way
    }

    /// The proxy has refused the credentials.
    mutating func refused(_ way: DialWay, _ error: DialError) {
        refusals[way.choice] = error
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
