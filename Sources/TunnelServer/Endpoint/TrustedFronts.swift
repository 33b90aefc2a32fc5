import HTTP1
import NIOCore
import NetworkAddress
import TunnelCore

/// The fronts that the operator has named. The origin of a connection that they report is trusted.
public struct TrustedFronts: Sendable, Hashable {
    /// The addresses that fronts connect from.
    public var blocks: [CIDRBlock]
    /// Whether every peer on a unix socket is a front.
    public var includesUnix: Bool

    /// Creates a set of fronts; by default an empty one.
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

    /// The origin of a request that a front reports; nil if it reports none.
    ///
    /// It is the last address in X-Forwarded-For, or else in Forwarded (RFC 7239), that is not a front itself. Addresses
    /// before it may be forged by the sender.
    ///
    /// If a request has both fields, X-Forwarded-For wins: most fronts write it, and forward a forged Forwarded unchanged.
    /// A front that writes Forwarded must remove the other field.
    func origin(of head: RequestHead) -> IPAddress? {
        let forwardedFor = head.fields.list("X-Forwarded-For")
        let hops = forwardedFor.isEmpty ? head.fields.list("Forwarded").map(Self.forParameter) : forwardedFor
        for hop in hops.reversed() {
            guard let address = Self.address(hop) else { return nil }
            if !contains(address) { return address }
        }
        return nil
    }

    /// The parameter `for` of one element of Forwarded, without quotes.
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
