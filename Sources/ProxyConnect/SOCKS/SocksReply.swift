/// A reply code (RFC 1928, section 6). Unassigned codes keep their number.
public struct SocksReply: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The code.
    public let rawValue: UInt8

    /// Creates a reply from its code.
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The tunnel is open.
    public static let succeeded = SocksReply(rawValue: 0)
    /// Any failure, including a name that does not resolve.
    public static let generalFailure = SocksReply(rawValue: 1)
    /// The proxy's rules forbid this server or port.
    public static let notAllowed = SocksReply(rawValue: 2)
    /// The proxy has no route to the server's network.
    public static let networkUnreachable = SocksReply(rawValue: 3)
    /// The proxy cannot reach the server.
    public static let hostUnreachable = SocksReply(rawValue: 4)
    /// The server refused the proxy's connection.
    public static let connectionRefused = SocksReply(rawValue: 5)
    /// The proxy's connection did not reach the server, or with many proxies not in time.
    public static let timeToLiveExpired = SocksReply(rawValue: 6)
    /// The proxy does not support CONNECT.
    public static let commandNotSupported = SocksReply(rawValue: 7)
    /// The proxy does not support this type of address.
    public static let addressTypeNotSupported = SocksReply(rawValue: 8)

    /// The meaning with its number, such as `host unreachable (reply 4)`.
    public var description: String {
        let meaning =
            switch self {
            case .succeeded: "succeeded"
            case .generalFailure: "general failure"
            case .notAllowed: "not allowed by its rules"
            case .networkUnreachable: "network unreachable"
            case .hostUnreachable: "host unreachable"
            case .connectionRefused: "connection refused"
            case .timeToLiveExpired: "time to live expired"
            case .commandNotSupported: "command not supported"
            case .addressTypeNotSupported: "address type not supported"
            case _: "an unknown code"
            }
        return "\(meaning) (reply \(rawValue))"
    }
}
