/// A set of ports as operators write it: `1024-65535`, `8022`, `8000-8099,9000`.
public struct PortRanges: Sendable, Hashable, CustomStringConvertible {
    /// The ranges, as written.
    public let ranges: [ClosedRange<UInt16>]

    /// What a server allows unless it is told otherwise: all but the privileged ports.
    public static let unprivileged = PortRanges(ranges: [1_024...65_535])

    /// A set of these ranges.
    public init(ranges: [ClosedRange<UInt16>]) {
        self.ranges = ranges
    }

    /// Reads a list of ports and ranges; nil for anything else, for port 0, and for a range that runs backwards.
    public init?(_ text: String) {
        var ranges: [ClosedRange<UInt16>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Self.port($0) }
            switch ends.count {
            case 1:
                guard let port = ends[0] else { return nil }
                ranges.append(port...port)
            case 2:
                guard let first = ends[0], let last = ends[1], first <= last else { return nil }
                ranges.append(first...last)
            default:
                return nil
            }
        }
        self.ranges = ranges
    }

    private static func port(_ text: Substring) -> UInt16? {
        let text = text.filter { $0 != " " }
        guard let port = Port.parse(text), port > 0 else { return nil }
        return port
    }

    /// Whether `port` is one of them.
    public func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    /// The ports that are in both sets.
    public func intersection(_ other: PortRanges) -> PortRanges {
        PortRanges(
            ranges: ranges.flatMap { range in
                other.ranges.compactMap { $0.overlaps(range) ? range.clamped(to: $0) : nil }
            }
        )
    }

    /// How many they are; what stands in several ranges counts for each.
    public var count: Int { ranges.reduce(0) { $0 + $1.count } }

    /// One of them at random.
    public func random(using generator: inout some RandomNumberGenerator) -> UInt16? {
        let count = ranges.reduce(0) { $0 + $1.count }
        guard count > 0 else { return nil }
        var index = Int.random(in: 0..<count, using: &generator)
        for range in ranges {
            if index < range.count { return range.lowerBound + UInt16(index) }
            index -= range.count
        }
        return nil
    }

    /// The list as operators write it.
    public var description: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }
}
