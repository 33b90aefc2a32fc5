import NetworkAddress

/// An address to dial in place of a URL's host and port: `10.0.0.5:8443`.
public struct ConnectAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address; IPv6 without brackets.
    public let host: String
    /// The port.
    public let port: Int

    /// The reason why a text is not such an address.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        /// One line for a person.
        public let description: String
    }

    /// Reads `HOST:PORT`; an IPv6 address stands in brackets.
    public init(_ text: String) throws(Malformed) {
        guard let (host, port) = splitHostPort(text[...], defaultPort: 0), port > 0 else {
            throw Malformed(description: "expected HOST:PORT, for instance 10.0.0.5:443 or [2001:db8::5]:443")
        }
        self.host = host
        self.port = port
    }

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Whether it is an address of this machine alone, or the name of one (RFC 6761, section 6.3).
    var isLoopback: Bool { IPAddress(host)?.isLoopback ?? (host.lowercased() == "localhost") }

    /// `host:port`.
    public var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}
