/// A list of ports and port ranges, such as `1024-65535`, `8022` or `8000-8099,9000`.
public struct PortRanges: Sendable, Hashable, CustomStringConvertible {
    /// The ranges in their original order.
    public let ranges: [ClosedRange<UInt16>]

    /// A server's default: all ports but the privileged ones.
    public static let unprivileged = PortRanges(ranges: [1_024...65_535])

    /// Creates a list of ranges.
    public init(ranges: [ClosedRange<UInt16>]) {
        self.ranges = ranges
    }

    /// Parses a list; nil if the text is not one, contains port 0, or has a range whose end is lower than its start.
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

    /// Returns whether a range contains the port.
    public func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    /// Returns the ports in both lists.
    public func intersection(_ other: PortRanges) -> PortRanges {
        PortRanges(
            ranges: ranges.flatMap { range in
                other.ranges.compactMap { $0.overlaps(range) ? range.clamped(to: $0) : nil }
            }
        )
    }

    /// The number of ports; a port in several ranges counts for each.
    public var count: Int { ranges.reduce(0) { $0 + $1.count } }

    /// Returns a random port of the list; nil if it is empty.
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

    /// The list as text that ``init(_:)`` accepts.
    public var description: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }
}
