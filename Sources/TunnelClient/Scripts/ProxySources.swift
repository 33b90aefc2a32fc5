import Logging
import ProxyConnect

/// Finds the proxies on the ways to an endpoint from several sources, in their order: for ``ClientConfiguration/proxies``.
///
/// A script that cannot be evaluated now is passed over if other ways are left. So `none` behind a script means a direct
/// connection in networks without that script.
public struct ProxySources: Sendable {
    private enum Source: Sendable {
        case choice(ProxyChoice)
        case script(ProxyScript)
    }

    private let sources: [Source]
    private let logger: Logger

    /// - Parameter engine: evaluates the scripts.
    public init(_ sources: [ProxySource], engine: any ProxyScriptEngine, logger: Logger) {
        self.logger = logger
        self.sources = sources.map { source in
            switch source {
            case .choice(let choice): .choice(choice)
            case .script(let location): .script(ProxyScript(location, engine: engine, logger: logger))
            }
        }
    }

    /// The proxies on the ways to an endpoint, in order.
    ///
    /// - Throws: ``DialError`` if a script fails and no other way is left, or if the failure cannot pass.
    public func choices(for endpoint: EndpointURL) async throws(DialError) -> [ProxyChoice] {
        var choices: [ProxyChoice] = []
        var failures: [DialError] = []
        for source in sources {
            switch source {
            case .choice(let choice):
                choices.append(choice)
            case .script(let script):
                do throws(DialError) {
                    choices += try await script.choices(for: endpoint)
                } catch {
                    guard error.disposition == .retry, !Task.isCancelled else { throw error }
                    failures.append(error)
                }
            }
        }
        if choices.isEmpty, let failure = failures.first { throw failure }
        for failure in failures { logger.warning("\(failure)") }
        return choices
    }
}

extension ProxyEnvironment {
    /// The proxy of the environment's variables for an endpoint.
    ///
    /// - Throws: `Failure` if the variable that applies is malformed.
    public func choice(for endpoint: EndpointURL) throws(Failure) -> ProxyChoice {
        try choice(for: Target(isSecure: endpoint.isSecure, host: endpoint.host, port: endpoint.port))
    }

    /// Why an endpoint is reached as it is.
    public func reason(for endpoint: EndpointURL) -> Reason {
        reason(for: Target(isSecure: endpoint.isSecure, host: endpoint.host, port: endpoint.port))
    }

    /// A function for ``ClientConfiguration/proxies`` that knows these endpoints.
    ///
    /// - Throws: `Failure` if a variable that applies is malformed.
    public func choices(
        for endpoints: [EndpointURL]
    ) throws(Failure) -> @Sendable (EndpointURL) async throws -> [ProxyChoice] {
        var choices: [EndpointURL: ProxyChoice] = [:]
        for endpoint in endpoints { choices[endpoint] = try choice(for: endpoint) }
        let all = choices
        return { [all[$0] ?? .direct] }
    }
}
