import HTTP1
import NetworkAddress
import TunnelCore

/// The URL of a server's WebSocket: `wss://tunnel.example/tunnel`.
public struct EndpointURL: Sendable, Hashable, CustomStringConvertible {
    /// Whether the WebSocket runs in TLS.
    public let isSecure: Bool
    /// A name or an address; IPv6 without brackets.
    public let host: String
    /// The port, by default the one of the scheme.
    public let port: Int
    /// The path with its query, by default `/tunnel`.
    public let path: String

    /// The reason why a text is not an endpoint.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        /// One line for a person.
        public let description: String
    }

    /// Reads ws:// and wss://, and treats http:// and https:// as the same.
    ///
    /// - Throws: ``Malformed`` for anything else. User information is refused, since a secret in a URL appears in logs.
    public init(_ text: String) throws(Malformed) {
        guard !text.contains("@") else {
            throw Malformed(description: "a URL of a server has no user or password; the token comes from --token-file")
        }
        func malformed(_ why: String) -> Malformed {
            Malformed(description: "\(text.escapedForDisplay()) is not a URL of a server: \(why)")
        }
        guard let colon = text.firstRange(of: "://") else {
            throw malformed("it must begin with wss:// or ws://")
        }
        switch text[..<colon.lowerBound].lowercased() {
        case "ws", "http": isSecure = false
        case "wss", "https": isSecure = true
        default: throw malformed("it must begin with wss:// or ws://")
        }
        let rest = text[colon.upperBound...]
        guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
            throw Malformed(description: "the URL has a space, a fragment or a character that must be percent-encoded")
        }
        let slash = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<slash]
        var path = String(rest[slash...])
        if path.hasPrefix("?") { path = "/" + path }
        self.path = path.isEmpty || path == "/" ? "/tunnel" : path
        guard let (host, port) = splitHostPort(authority, defaultPort: isSecure ? 443 : 80), port > 0 else {
            throw malformed("its host or port is malformed")
        }
        self.host = host
        self.port = port
    }

    /// The value of HTTP's Host: `host:port`, or `host` if the port is the scheme's own.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The complete URL.
    public var description: String { "\(isSecure ? "wss" : "ws")://\(authority)\(path)" }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; nil for any other text.
func splitHostPort(_ text: Substring, defaultPort: Int) -> (host: String, port: Int)? {
    var host = text
    var digits: Substring?
    if text.hasPrefix("[") {
        guard let end = text.firstIndex(of: "]") else { return nil }
        host = text[text.index(after: text.startIndex)..<end]
        let after = text[text.index(after: end)...]
        guard IPAddress(String(host)) != nil, host.contains(":"), after.isEmpty || after.hasPrefix(":") else {
            return nil
        }
        digits = after.isEmpty ? nil : after.dropFirst()
    } else if let colon = text.firstIndex(of: ":") {
        host = text[..<colon]
        digits = text[text.index(after: colon)...]
    }
    guard !host.isEmpty, text.hasPrefix("[") || host.utf8.allSatisfy(isHostByte) else { return nil }
    guard let digits else { return (String(host), defaultPort) }
    guard let port = Port.parse(digits) else { return nil }
    return (String(host), Int(port))
}

private func isHostByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 48...57, UInt8(ascii: "-"),
        UInt8(ascii: "."), UInt8(ascii: "_"):
        true
    default: false
    }
}
