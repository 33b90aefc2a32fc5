import ProxyConnect

/// A way to a session: a server, and the proxy before it or none.
struct DialWay: Sendable, Hashable, CustomStringConvertible {
    let endpoint: EndpointURL
    let choice: ProxyChoice

    /// The way for the operator, without a password.
    var description: String {
        guard case .proxy(let url) = choice else { return "\(endpoint)" }
        return "\(endpoint) through proxy \(url.redacted)"
    }
}
