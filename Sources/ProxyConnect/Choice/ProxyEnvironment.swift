/// What the environment's proxy variables say about a server, by curl's rules.
///
/// For wss `https_proxy`, then `HTTPS_PROXY`; for ws `http_proxy` alone, since a web server hands a visitor's `Proxy:`
/// field to CGI programs as `HTTP_PROXY` (R18); then `all_proxy`, `ALL_PROXY`. `no_proxy`, then `NO_PROXY`, exempts
/// servers. A variable with an empty value counts as not set.
///
/// A pure function: nothing is read from the process. Loopback is exempt only where `no_proxy` says so.
public struct ProxyEnvironment: Sendable {
    /// The server that is to be reached.
    public struct Target: Sendable, Hashable {
        /// True for wss, false for ws.
        public var isSecure: Bool
        /// A name or an address, an IPv6 address with or without brackets.
        public var host: String
        /// The port, the scheme's default included.
        public var port: Int

        /// A server to be reached.
        public init(isSecure: Bool, host: String, port: Int) {
            self.isSecure = isSecure
            self.host = host
            self.port = port
        }
    }

    /// A variable whose value is no proxy's URL.
    public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// The variable's name.
        public let variable: String
        /// What is wrong with its value.
        public let reason: ProxyURLError

        /// The variable and the reason, never the value.
        public var description: String { "\(variable): \(reason)" }
    }

    private let variables: [String: String]

    /// Rules from these variables, those of a process for instance.
    public init(_ variables: [String: String]) {
        self.variables = variables
    }

    /// How the target is reached.
    ///
    /// - Throws: `Failure` when the variable that applies is malformed: dialling directly instead could leak, or
    ///   succeed for the wrong reason.
    public func choice(for target: Target) throws(Failure) -> ProxyChoice {
        guard let variable = variable(for: target), let value = variables[variable] else { return .direct }
        do throws(ProxyURLError) {
            return .proxy(try ProxyURL(value))
        } catch {
            throw Failure(variable: variable, reason: error)
        }
    }

    /// The name of the variable that applies to the target, for a log line; nil when it is reached directly.
    public func variable(for target: Target) -> String? {
        let names = target.isSecure ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]
        guard let variable = firstSet(names + ["all_proxy", "ALL_PROXY"]) else { return nil }
        if let exempt = firstSet(["no_proxy", "NO_PROXY"]), let list = variables[exempt],
            NoProxyList(list).contains(host: target.host, port: target.port)
        {
            return nil
        }
        return variable
    }

    private func firstSet(_ names: [String]) -> String? {
        names.first { variables[$0]?.isEmpty == false }
    }
}
