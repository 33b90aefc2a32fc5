/// How a client checks a service by itself.
public enum HealthCheck: Sendable, Hashable, CustomStringConvertible {
    /// The service accepts a connection.
    case tcp
    /// The service answers `GET` for a path with a status from 200 to 399.
    case http(path: String)

    /// The forms, for an error.
    public static let form = "expected tcp or http:/PATH, for instance http:/health"

    /// Reads `tcp` or `http:/PATH`; nil for anything else.
    public init?(_ text: String) {
        if text == "tcp" {
            self = .tcp
            return
        }
        guard text.hasPrefix("http:/"), text.utf8.count <= 1_024, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            !text.contains("#")
        else { return nil }
        self = .http(path: String(text.dropFirst(5)))
    }

    /// The check as it is written.
    public var description: String {
        switch self {
        case .tcp: "tcp"
        case .http(let path): "http:\(path)"
        }
    }
}
