/// How a proxy let a tunnel through, for a diagnosis.
public struct ProxyPassage: Sendable, Equatable {
    /// The scheme that was used; nil for none.
    public var scheme: ProxyScheme?
    /// The names of the schemes that the proxy offered first, in its order.
    public var offeredSchemes: [String] = []
    /// Requests that the exchange took, with the first one.
    public var requests = 0
    /// The answer that opened the tunnel; nil for SOCKS.
    public var answer: ProxyAnswer?
    /// The proxy's Date field, escaped for display; nil if no answer had one.
    public var date: String?

    /// The time until the ticket ends that Negotiate has used; nil if it is not known.
    public var ticketLifetime: Duration?

    /// Creates a passage of which nothing is known.
    public init() {}
}
