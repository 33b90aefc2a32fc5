/// The number of a stream within its session (protocol page, section 3).
///
/// The server's streams have even numbers from 2, the client's odd numbers from 1. Number 0 is the session itself.
/// Numbers increase and are never reused.
public struct StreamID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    /// Creates an identifier from the number on the wire.
    public init(_ rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The session itself.
    public static let session = StreamID(0)

    /// The role that may open a stream with this number; nil for the session's own number.
    public var opener: Role? {
        rawValue == 0 ? nil : (rawValue & 1 == 0 ? .server : .client)
    }

    /// The next number of the same opener; nil after the last number.
    public var next: StreamID? {
        let (sum, overflow) = rawValue.addingReportingOverflow(2)
        return overflow ? nil : StreamID(sum)
    }

    /// Numbers left when a new session is due: a day at twelve visitors per second.
    static let reserve: UInt32 = 1 << 21

    /// Whether the numbers are about to run out.
    var isNearEnd: Bool { rawValue > .max - Self.reserve }

    /// Orders identifiers by number, which is the order of opening.
    public static func < (left: StreamID, right: StreamID) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}
