import Mux
import NetworkAddress

/// What the visitors to one tunnel are held to. Everything is off by default but what the session itself bounds.
public struct VisitorLimits: Sendable, Hashable {
    /// Visitors at a time.
    public var connections: Int?
    /// New visitors a second from one address (one /64 for IPv6); as many may come at once.
    public var connectionsPerSecond: Int?
    /// Blocks from which alone visitors may come; empty for all.
    public var allow: [CIDRBlock] = []
    /// Blocks from which they may not come, whatever `allow` says.
    public var deny: [CIDRBlock] = []
    /// How long a visitor may be silent, both ways, before it is reset.
    public var idleSeconds: Int?
    /// Bytes a second in each direction, over all visitors of the tunnel.
    public var bandwidth: Int?

    /// No limits.
    public init() {}

    /// The stricter of these, the operator's, and a client's own terms; nil where the terms make no sense.
    func narrowed(by terms: RequestedVisitorLimits) -> VisitorLimits? {
        guard let allow = Self.blocks(terms.allow), let deny = Self.blocks(terms.deny) else { return nil }
        var limits = self
        limits.connections = Self.least(connections, terms.connections.map { Int($0) })
        limits.connectionsPerSecond = Self.least(connectionsPerSecond, terms.connectionsPerSecond.map { Int($0) })
        limits.idleSeconds = Self.least(idleSeconds, terms.idleSeconds.map { Int($0) })
        limits.bandwidth = Self.least(bandwidth, terms.bandwidth.map { Int(clamping: $0) })
        limits.deny += deny
        if !allow.isEmpty {
            // Both lists must hold; a block of the client's counts only within the operator's.
            limits.allow =
                self.allow.isEmpty
                ? allow : allow.filter { own in self.allow.contains { $0.contains(own) } }
            if limits.allow.isEmpty { limits.deny.append(contentsOf: CIDRBlock.everything) }
        }
        return limits
    }

    /// Reads `10.0.0.0/8,2001:db8::1`; nil where a part is neither block nor address.
    public static func blocks(_ text: String) -> [CIDRBlock]? {
        var blocks: [CIDRBlock] = []
        for part in text.split(whereSeparator: { $0 == "," || $0 == " " }) {
            guard let block = CIDRBlock(String(part)) ?? IPAddress(String(part)).map(CIDRBlock.init) else { return nil }
            blocks.append(block)
        }
        return blocks
    }

    /// The keys of the configuration whose values are not those of `other`.
    func keys(thatDifferFrom other: VisitorLimits) -> [String] {
        let differences = [
            ("visitor_connections", connections != other.connections),
            ("visitor_rate", connectionsPerSecond != other.connectionsPerSecond),
            ("visitor_allow", allow != other.allow),
            ("visitor_deny", deny != other.deny),
            ("visitor_idle", idleSeconds != other.idleSeconds),
            ("visitor_bandwidth", bandwidth != other.bandwidth),
        ]
        return differences.filter(\.1).map(\.0)
    }

    /// Who may come, for the log: `anybody`, or the blocks.
    var description: String {
        let from = allow.isEmpty ? "anybody" : allow.map(\.description).joined(separator: ",")
        return deny.isEmpty ? from : "\(from) but \(deny.map(\.description).joined(separator: ","))"
    }

    private static func least(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return left ?? right }
        return min(left, right)
    }
}
