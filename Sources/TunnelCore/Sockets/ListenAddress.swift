import NIOCore
import NetworkAddress

/// Where a server listens: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/culvert.sock`.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// An IP address, or `localhost`, and a port; 0 lets the system choose.
    case tcp(host: String, port: UInt16)
    /// A socket in the file system.
    case unix(path: String)

    /// The longest path of a socket, bytes. 100: the kernel takes some more.
    package static let longestPath = 100

    /// What is expected, for an error.
    public static let form = "expected ADDR:PORT with an IP address, for instance 127.0.0.1:8080, or unix:/PATH"

    /// Reads an address; nil for anything else. `*:8080` and `:8080` mean all IPv4 addresses.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = text.dropFirst(5)
            guard path.hasPrefix("/"), path.utf8.count <= Self.longestPath else { return nil }
            self = .unix(path: String(path))
            return
        }
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = String(text[..<colon])
        let digits = text[text.index(after: colon)...]
        guard let port = Port.parse(digits) else { return nil }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard host.contains(":") else { return nil }
        } else {
            if host == "*" || host.isEmpty { host = "0.0.0.0" }
            guard !host.contains(":") else { return nil }
        }
        guard host == "localhost" || (try? SocketAddress(ipAddress: host, port: 0)) != nil else { return nil }
        self = .tcp(host: host, port: port)
    }

    /// Whether the system would refuse one of the two, because the other has its place.
    public func collides(with other: ListenAddress) -> Bool {
        switch (self, other) {
        case (.unix(let path), .unix(let otherPath)):
            return path == otherPath
        case (.tcp(let host, let port), .tcp(let otherHost, let otherPort)):
            guard port > 0, port == otherPort else { return false }
            let (one, two) = (Self.inOneSpelling(host), Self.inOneSpelling(otherHost))
            // NIO leaves IPV6_V6ONLY as the system has it, so that :: takes IPv4 too.
            return one == two || one == "::" || two == "::"
                || (one == "0.0.0.0" && !two.contains(":")) || (two == "0.0.0.0" && !one.contains(":"))
        default:
            return false
        }
    }

    private static func inOneSpelling(_ host: String) -> String {
        host == "localhost" ? "127.0.0.1" : IPAddress(host)?.description ?? host
    }

    /// Whether only this machine can reach it.
    public var isLocal: Bool {
        switch self {
        case .tcp(let host, _): isLoopback(host)
        case .unix: true
        }
    }

    /// The address as in a URL or on a command line.
    public var description: String {
        switch self {
        case .tcp(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// Whether a host, by name or address, is always this machine.
package func isLoopback(_ host: String) -> Bool {
    host == "localhost" || host == "::1"
        || (host.hasPrefix("127.") && (try? SocketAddress(ipAddress: host, port: 0)) != nil)
}
