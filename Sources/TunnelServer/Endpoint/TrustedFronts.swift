import HTTP1
import NIOCore
import NetworkAddress
import TunnelCore

/// The fronts that the operator has named: whose word about where a connection comes from is believed.
public struct TrustedFronts: Sendable, Hashable {
    /// Where fronts connect from.
    public var blocks: [CIDRBlock]
    /// Whether whoever connects by a unix socket is a front.
    public var includesUnix: Bool

    /// No front at all, or these.
    public init(blocks: [CIDRBlock] = [], includesUnix: Bool = false) {
        self.blocks = blocks
        self.includesUnix = includesUnix
    }

    /// Whether the peer of a connection is a front.
    func contains(_ peer: SocketAddress?) -> Bool {
        peer?.ip.map { contains($0) } ?? includesUnix
    }

    func contains(_ address: IPAddress) -> Bool {
        blocks.contains { $0.contains(address.unmapped) }
    }

    /// Where a front says that the request comes from: the last address in X-Forwarded-For, else in Forwarded
    /// (RFC 7239), that is no front itself. What stands before it is the sender's own word and not looked at. Nil where
    /// nothing usable is said.
    ///
    /// Both fields in one request: most fronts write X-Forwarded-For and hand on a Forwarded that the sender made up,
    /// so the former wins. A front that writes Forwarded must take the other field off.
    func origin(of head: RequestHead) -> IPAddress? {
        let forwardedFor = head.fields.list("X-Forwarded-For")
        let hops = forwardedFor.isEmpty ? head.fields.list("Forwarded").map(Self.forParameter) : forwardedFor
        for hop in hops.reversed() {
            guard let address = Self.address(hop) else { return nil }
            if !contains(address) { return address }
        }
        return nil
    }

    /// The value of `for` in one element of Forwarded, without quotes.
    private static func forParameter(_ element: String) -> String {
        for parameter in element.split(separator: ";") {
            let parts = parameter.split(separator: "=", maxSplits: 1).map { $0.filter { !" \t".contains($0) } }
            if parts.count == 2, parts[0].lowercased() == "for" { return parts[1].filter { $0 != "\"" } }
        }
        return ""
    }

    /// An address with or without a port: `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711`, `2001:db8::1`.
    private static func address(_ text: String) -> IPAddress? {
        if let address = IPAddress(text) { return address.unmapped }
        return ProxyProtocolEnd(text)?.address
    }
}
