/// The request of the exchange, which some schemes include in their answer.
public struct ProxyAuthenticationRequest: Sendable, Equatable {
    /// `CONNECT`.
    public let method: String
    /// The request target, `host:port`.
    public let target: String
}
