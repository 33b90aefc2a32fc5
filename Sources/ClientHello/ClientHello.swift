/// What a TLS client asks for in its first message (RFC 8446, section 4.1.2), as far as a router needs it.
///
/// The values are the client's claims. Only a completed handshake proves that it holds to them.
public struct ClientHello: Sendable, Hashable {
    /// The host name of the server_name extension (RFC 6066, section 3), in lower case and without a final dot; nil if
    /// there is none.
    ///
    /// The name has the syntax of a host name. An IP address is not a name, so it counts as none.
    public var serverName: String?

    /// The protocols that the client offers by ALPN (RFC 7301), in its order; empty without the extension.
    ///
    /// Bytes that are not UTF-8 become U+FFFD, which no registered protocol has.
    public var applicationProtocols: [String]

    /// Whether the client offers TLS 1.3 among its supported versions.
    public var offersTLS13: Bool

    /// Whether there is an encrypted_client_hello extension (RFC 9849).
    ///
    /// If it is real, ``serverName`` is the public name of the server that can decrypt it. Browsers also send it without
    /// meaning (GREASE), and then ``serverName`` is the visitor's own name. The two look the same.
    public var hasEncryptedClientHello: Bool

    /// Creates a description; by default nothing is offered.
    public init(
        serverName: String? = nil,
        applicationProtocols: [String] = [],
        offersTLS13: Bool = false,
        hasEncryptedClientHello: Bool = false
    ) {
        self.serverName = serverName
        self.applicationProtocols = applicationProtocols
        self.offersTLS13 = offersTLS13
        self.hasEncryptedClientHello = hasEncryptedClientHello
    }
}
