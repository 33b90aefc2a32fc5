import ByteText

/// The number of one server process in its cluster. A restarted process has another one.
///
/// The ids of a server's sessions begin with it, so that every server knows the home of a session.
package struct ServerID: Sendable, Hashable, Comparable {
    /// Bytes of an id at the beginning of a session's id.
    package static let size = 4

    /// The number, chosen at random.
    package let number: UInt32

    /// Creates an id.
    package init(_ number: UInt32) {
        self.number = number
    }

    /// Creates the id of a session's home: the first four bytes of the session's id, big-endian.
    ///
    /// - Returns: nil for an id that is too short.
    package init?(ofSession id: some Collection<UInt8>) {
        guard id.count >= Self.size else { return nil }
        self.init(id.prefix(Self.size).reduce(0) { $0 << 8 | UInt32($1) })
    }

    /// Creates an id from its text.
    ///
    /// - Returns: nil for a text that is not exactly eight lower-case digits.
    package init?(_ text: some StringProtocol) {
        guard let bytes = Base16.decoded(text), bytes.count == Self.size, Base16.encoded(bytes) == text else {
            return nil
        }
        self.init(ofSession: bytes)
    }

    /// The four bytes, big-endian.
    package var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) } }

    package static func < (left: ServerID, right: ServerID) -> Bool { left.number < right.number }
}

extension ServerID: CustomStringConvertible {
    /// Eight lower-case hexadecimal digits.
    package var description: String { Base16.encoded(bytes) }
}
