import NetworkAddress

/// A place that one end names and the other connects to: a host and a port, or the path of a Unix socket.
public enum Destination: Sendable, Hashable, CustomStringConvertible {
    case host(HostPort)
    case path(String)

    /// The longest path of a Unix socket, bytes: `sun_path` without its last zero.
    public static let longestPath = 107
    /// The longest text, bytes: a name of 253, a colon and a port.
    public static let longestText = 259

    /// Reads `name:80`, `192.0.2.1:80`, `[2001:db8::1]:80` or `/path`; nil for anything else.
    ///
    /// A path is taken only in its plain form, so that no two texts name the same place: absolute, without empty
    /// components, `.` and `..`.
    public init?(_ text: String) {
        if text.utf8.first == UInt8(ascii: "/") {
            guard Self.isPlainPath(text) else { return nil }
            self = .path(text)
        } else {
            guard let host = HostPort(text) else { return nil }
            self = .host(host)
        }
    }

    /// Whether the text is a path in its plain form, and short enough for a socket.
    static func isPlainPath(_ text: String) -> Bool {
        guard text.utf8.count <= longestPath, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return false }
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
        return !parts.isEmpty
            && parts.allSatisfy { part in
                !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
            }
    }

    /// The text that ``init(_:)`` reads.
    public var description: String {
        switch self {
        case .host(let host): host.description
        case .path(let path): path
        }
    }
}

/// The transport of a stream's far side.
public enum StreamTransport: String, Sendable, Hashable {
    case tcp
    case udp
}
