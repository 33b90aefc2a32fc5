import NIOCore

/// The payload of BOUND: a server's answer to BIND.
public struct Binding: Sendable, Hashable {
    /// The client's tunnel.
    public var tunnel: UInt16
    /// The bound addresses, separated by spaces: `0.0.0.0` for all of IPv4, `::` for all of IPv6. Or the path of a Unix
    /// socket.
    public var address: String
    /// The bound port; 0 for a Unix socket.
    public var port: UInt16
    /// The URLs at which a host name is public, separated by spaces, such as `https://app.example.com`; empty for other
    /// places.
    public var urls: String

    /// The longest list of URLs, bytes: two with the longest name.
    static let longestURLs = 560

    /// Creates an answer.
    public init(tunnel: UInt16, address: String, port: UInt16, urls: String = "") {
        self.tunnel = tunnel
        self.address = address
        self.port = port
        self.urls = urls
    }

    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: tunnel)
        fields.append(2, address, atMost: BindRequest.longestAddress)
        fields.append(3, number: port)
        if !urls.isEmpty { fields.append(4, urls, atMost: Self.longestURLs) }
        return OutboundFrame(.bound, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .bound)
        self.init(
            tunnel: try fields.number(1),
            address: try fields.text(2, atMost: BindRequest.longestAddress),
            port: try fields.number(3),
            urls: try fields.text(4, atMost: Self.longestURLs)
        )
    }
}
