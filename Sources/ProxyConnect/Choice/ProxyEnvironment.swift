/// The environment's proxy variables, applied by curl's rules.
///
/// For wss these are `https_proxy`, then `HTTPS_PROXY`. For ws it is `http_proxy` alone, since web servers pass a
/// visitor's `Proxy:` field to CGI programs as `HTTP_PROXY` (R18). Then follow `all_proxy` and `ALL_PROXY`. `no_proxy`,
/// then `NO_PROXY`, exempt servers. A variable with an empty value counts as unset.
///
/// The type is pure: it reads nothing from the process. Loopback is exempt only if `no_proxy` contains it.
public struct ProxyEnvironment: Sendable {
    /// The server to reach.
    public struct Target: Sendable, Hashable {
        /// Whether the scheme is wss rather than ws.
        public var isSecure: Bool
        /// A name or an address; IPv6 with or without brackets.
        public var host: String
        /// The port, also if it is the scheme's default.
        public var port: Int

        /// Creates a target.
        public init(isSecure: Bool, host: String, port: Int) {
            self.isSecure = isSecure
            self.host = host
            self.port = port
        }
    }

    /// A variable whose value is not a proxy's URL.
    public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// The variable's name.
        public let variable: String
        /// The fault of its value.
        public let reason: ProxyURLError

        /// The variable and the reason, never the value.
        public var description: String { "\(variable): \(reason)" }
    }

    private let variables: [String: String]

    /// Creates rules from variables, such as a process's environment.
    public init(_ variables: [String: String]) {
        self.variables = variables
    }

    /// Returns the way to reach the target.
    ///
    /// - Throws: `Failure` if the variable that applies is malformed. A direct dial instead could leak, or succeed for
    ///   the wrong reason.
    public func choice(for target: Target) throws(Failure) -> ProxyChoice {
        guard let variable = variable(for: target), let value = variables[variable] else { return .direct }
        do throws(ProxyURLError) {
            return .proxy(try ProxyURL(value))
        } catch {
            throw Failure(variable: variable, reason: error)
        }
    }

    /// Returns the name of the variable that applies to the target, for the log; nil if it is reached directly.
    public func variable(for target: Target) -> String? {
        if case .variable(let name) = reason(for: target) { name } else { nil }
    }

    /// Why a target is reached as it is.
    public enum Reason: Sendable, Equatable {
        /// This variable names the proxy.
        case variable(String)
        /// A variable names a proxy, and this one exempts the target.
        case exempt(String)
        /// No variable names a proxy.
        case none
    }

    /// Returns why a target is reached as it is.
    public func reason(for target: Target) -> Reason {
        let names = target.isSecure ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]
        guard let variable = firstSet(names + ["all_proxy", "ALL_PROXY"]) else { return .none }
        if let exempt = firstSet(["no_proxy", "NO_PROXY"]), let list = variables[exempt],
            NoProxyList(list).contains(host: target.host, port: target.port)
        {
            return .exempt(exempt)
        }
        return .variable(variable)
    }

    private func firstSet(_ names: [String]) -> String? {
        names.first { variables[$0]?.isEmpty == false }
    }
}
