import Mux
import NetworkAddress

/// The limits of one tunnel's visitors. All are off by default; the session's own limits always apply.
public struct VisitorLimits: Sendable, Hashable {
    /// Visitors at a time.
    public var connections: Int?
    /// New visitors in a second from one address, or from one /64 of IPv6. As many may arrive at once.
    public var connectionsPerSecond: Int?
    /// The only blocks that visitors may come from; empty for all addresses.
    public var allow: [CIDRBlock] = []
    /// Blocks that visitors may not come from, also if `allow` contains them.
    public var deny: [CIDRBlock] = []
    /// Seconds without a byte in either direction after which a visitor is reset.
    public var idleSeconds: Int?
    /// Bytes a second in each direction, over all visitors of the tunnel.
    public var bandwidth: Int?

    /// Creates a value without limits.
    public init() {}

    /// The stricter of the operator's limits, which these are, and a client's own; nil if the client's cannot be read.
    func narrowed(by terms: RequestedVisitorLimits) -> VisitorLimits? {
        guard let allow = Self.blocks(terms.allow), let deny = Self.blocks(terms.deny) else { return nil }
        var limits = self
        limits.connections = Self.least(connections, terms.connections.map { Int($0) })
        limits.connectionsPerSecond = Self.least(connectionsPerSecond, terms.connectionsPerSecond.map { Int($0) })
        limits.idleSeconds = Self.least(idleSeconds, terms.idleSeconds.map { Int($0) })
        limits.bandwidth = Self.least(bandwidth, terms.bandwidth.map { Int(clamping: $0) })
        limits.deny += deny
        if !allow.isEmpty {
            // An address must be in both lists, so the client's blocks count only inside the operator's.
            limits.allow =
                self.allow.isEmpty
                ? allow : allow.filter { own in self.allow.contains { $0.contains(own) } }
            if limits.allow.isEmpty { limits.deny.append(contentsOf: CIDRBlock.everything) }
        }
        return limits
    }

    /// Reads a list such as `10.0.0.0/8,2001:db8::1`; nil if a part is neither a block nor an address.
    public static func blocks(_ text: String) -> [CIDRBlock]? {
        var blocks: [CIDRBlock] = []
        for part in text.split(whereSeparator: { $0 == "," || $0 == " " }) {
            guard let block = CIDRBlock(String(part)) ?? IPAddress(String(part)).map(CIDRBlock.init) else { return nil }
            blocks.append(block)
        }
        return blocks
    }

    /// The configuration keys whose values differ from those of `other`.
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

    /// The addresses that visitors may come from, for the log: `all`, or the blocks.
    var description: String {
        let from = allow.isEmpty ? "all" : allow.map(\.description).joined(separator: ",")
        return deny.isEmpty ? from : "\(from) except \(deny.map(\.description).joined(separator: ","))"
    }

    private static func least(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return left ?? right }
        return min(left, right)
    }
}
