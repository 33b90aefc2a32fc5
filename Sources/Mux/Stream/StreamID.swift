/// The number of a stream inside its session (protocol page, section 3).
///
/// The server's streams have even numbers from 2, the client's odd ones from 1; 0 is the session itself. Numbers rise
/// and are never used twice.
public struct StreamID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number as it stands on the wire.
    public let rawValue: UInt32

    /// Creates an identifier from the wire's number.
    public init(_ rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The session itself.
    public static let session = StreamID(0)

    /// Who may open a stream of this number; nil for the session's own.
    public var opener: Role? {
        rawValue == 0 ? nil : (rawValue & 1 == 0 ? .server : .client)
    }

    /// The next number of the same opener, nil at the end of the numbers.
    public var next: StreamID? {
        let (sum, overflow) = rawValue.addingReportingOverflow(2)
        return overflow ? nil : StreamID(sum)
    }

    /// Numbers that are left when it is time for a new session: a day of twelve visitors a second.
    static let reserve: UInt32 = 1 << 21

    /// Whether the numbers are about to end.
    var isNearEnd: Bool { rawValue > .max - Self.reserve }

    /// Orders identifiers by number, which is the order of opening.
    public static func < (left: StreamID, right: StreamID) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// Which end of a session this is.
public enum Role: Sendable, Hashable {
    /// The one that dials, owns the services and asks for public ports.
    case client
    /// The one that listens, owns the public ports and opens streams for their visitors.
    case server

    /// The other end.
    public var peer: Role { self == .client ? .server : .client }

    /// The first stream number that this end opens.
    var firstStream: StreamID { StreamID(self == .client ? 1 : 2) }
}
