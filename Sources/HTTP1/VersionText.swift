/// The grammar of a version in upper case: `HTTP/` DIGIT `.` DIGIT (RFC 9112, section 2.3).
struct VersionText: Sendable {
    private static let prefix = Array("HTTP/".utf8)

    private var count = 0
    private var major = 0
    private var minor = 0

    /// Processes a byte; false if it is illegal here.
    mutating func accept(_ byte: UInt8) -> Bool {
        defer { count += 1 }
        switch count {
        case 0..<5:
            return byte == Self.prefix[count]
        case 5:
            major = Int(byte) - 0x30
            return byte.isDigit
        case 6:
            return byte == UInt8(ascii: ".")
        case 7:
            minor = Int(byte) - 0x30
            return byte.isDigit
        default:
            return false
        }
    }

    /// The version after all eight bytes; nil before.
    var version: HTTPVersion? {
        count == 8 ? HTTPVersion(major: major, minor: minor) : nil
    }

    /// Whether the five fixed bytes are incomplete.
    var isInPrefix: Bool { count < Self.prefix.count }
}
