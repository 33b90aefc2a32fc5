/// The number of a lane within its session (protocol page, section 6).
///
/// A session begins with lane 0. The client numbers further lanes in rising order, and never uses a number again.
public struct LaneID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    /// Creates an identifier from the number on the wire.
    public init(_ rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The lane with which a session begins.
    public static let first = LaneID(0)

    /// The next number; nil after the last one.
    var next: LaneID? {
        let (sum, overflow) = rawValue.addingReportingOverflow(1)
        return overflow ? nil : LaneID(sum)
    }

    /// Orders lanes by number, which is the order of opening.
    public static func < (left: LaneID, right: LaneID) -> Bool { left.rawValue < right.rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}
