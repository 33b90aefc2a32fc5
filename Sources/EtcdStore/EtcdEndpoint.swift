import HTTP1
import NetworkAddress

/// The URL of one member of etcd: `https://10.0.0.2:2379`.
package struct EtcdEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// The port of a URL without one.
    package static let defaultPort: UInt16 = 2_379

    /// Whether TLS is used.
    package let isSecure: Bool
    /// The host and the port.
    package let place: HostPort

    /// Reads a URL.
    ///
    /// - Throws: if the text has another scheme, user information, a path or a malformed host.
    package init(_ text: String) throws(EtcdConfigurationError) {
        let shown = text.escapedForDisplay(limit: 120)
        let scheme = text.utf8.prefix { $0 != UInt8(ascii: ":") }
        switch String(Substring(scheme)).lowercased() {
        case "https": isSecure = true
        case "http": isSecure = false
        default: throw EtcdConfigurationError(description: "\(shown) is not an http or https URL")
        }
        var rest = text.utf8[scheme.endIndex...]
        guard rest.starts(with: "://".utf8) else {
            throw EtcdConfigurationError(description: "\(shown) is not an http or https URL")
        }
        rest = rest.dropFirst(3)
        if rest.last == UInt8(ascii: "/") { rest = rest.dropLast() }
        guard let place = HostPort(Substring(rest), defaultPort: Self.defaultPort) else {
            throw EtcdConfigurationError(description: "\(shown) must have a host and a port, and nothing behind them")
        }
        self.place = place
    }

    /// The URL.
    package var description: String { "\(isSecure ? "https" : "http")://\(place)" }
}
