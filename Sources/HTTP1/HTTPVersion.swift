/// The version in a start line (RFC 9110, section 2.5): two digits.
public struct HTTPVersion: Sendable, Equatable, Comparable, CustomStringConvertible {
    /// The digit before the dot.
    public let major: Int
    /// The digit after the dot.
    public let minor: Int

    /// Creates any version; only 1.x is parsed or serialized.
    public init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// HTTP/1.0, without a required Host and with connections that close by default.
    public static let http1_0 = HTTPVersion(major: 1, minor: 0)
    /// HTTP/1.1.
    public static let http1_1 = HTTPVersion(major: 1, minor: 1)

    /// Orders versions by major, then by minor number.
    public static func < (left: HTTPVersion, right: HTTPVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    /// The form in a start line, such as `HTTP/1.1`.
    public var description: String { "HTTP/\(major).\(minor)" }

    /// Whether a start line of this protocol can carry the version.
    var isSerializable: Bool { major == 1 && (0...9).contains(minor) }
}
