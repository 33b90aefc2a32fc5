import HTTP1

/// The location of a proxy script (proxy auto-configuration, PAC): `pac+http://host[:port]/path` or `pac+file:///path`.
///
/// Parsing is as strict as for a proxy's URL. There are no credentials. A file's path is absolute and percent-decoded;
/// a web server's path is sent unchanged.
///
/// An attacker who can change the script, or its HTTP transfer, chooses the proxy. That proxy sees which server the
/// client dials and how it answers challenges. TLS with the server protects everything else.
public struct ProxyScriptLocation: Sendable, Hashable, CustomStringConvertible {
    /// The kind of source.
    public enum Source: Sendable, Hashable {
        /// A file with an absolute path.
        case file(path: String)
        /// A web server's page: the host without brackets, and the path with its query.
        case http(host: String, port: Int, target: String)
    }

    /// The source of the script.
    public let source: Source

    /// Returns whether the text names a script rather than a proxy, well-formed or not.
    public static func isMeant(by text: String) -> Bool {
        text.utf8.count >= prefix.count
            && text.utf8.prefix(prefix.count).elementsEqual(prefix) { $0 == $1 || $0 | 0x20 == $1 }
    }

    private static let prefix = Array("pac+".utf8)

    /// Parses a location.
    ///
    /// - Throws: ``ProxyScriptLocationError`` if the text is malformed.
    public init(_ text: String) throws(ProxyScriptLocationError) {
        guard Self.isMeant(by: text) else { throw .unknownScheme }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw .controlCharacter }
        let rest = text.utf8.dropFirst(Self.prefix.count)
        let name = rest.prefix { $0 != UInt8(ascii: ":") }
        let tail = rest[name.endIndex...]
        guard tail.starts(with: "://".utf8) else { throw .unknownScheme }
        switch String(Substring(name)).lowercased() {
        case "http": source = try Self.page(tail.dropFirst(3))
        case "file": source = try Self.file(tail.dropFirst(3))
        case "https": throw .encrypted
        default: throw .unknownScheme
        }
    }

    /// The value of HTTP's Host: `host`, or `host:port` if the port is not 80. Empty for a file.
    public var authority: String {
        guard case .http(let host, let port, _) = source else { return "" }
        return ProxyURL.bracketed(host) + (port == 80 ? "" : ":\(port)")
    }

    /// The URL, escaped for a terminal.
    public var description: String {
        switch source {
        case .file(let path): "pac+file://\(path.escapedForDisplay(limit: 400))"
        case .http(_, _, let target): "pac+http://\(authority)\(target.escapedForDisplay(limit: 400))"
        }
    }

    private static func page(_ text: Substring.UTF8View) throws(ProxyScriptLocationError) -> Source {
        let authority = text.prefix { !"/?#".utf8.contains($0) }
        guard !authority.contains(UInt8(ascii: "@")) else { throw .credentials }
        let target = String(Substring(text[authority.endIndex...]))
        guard target.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
            throw .malformedPath
        }
        do throws(ProxyURLError) {
            let server = try ProxyURL("http://\(Substring(authority))")
            let path = target.hasPrefix("/") ? target : "/\(target)"
            return .http(host: server.host, port: server.port, target: path)
        } catch {
            throw .malformedHost
        }
    }

    private static func file(_ text: Substring.UTF8View) throws(ProxyScriptLocationError) -> Source {
        guard text.first == UInt8(ascii: "/") else { throw .relativePath }
        guard !text.contains(UInt8(ascii: "?")), !text.contains(UInt8(ascii: "#")) else { throw .malformedPath }
        guard let path = ProxyURL.percentDecoded(text), !path.utf8.contains(0), path != "/" else {
            throw .malformedPath
        }
        return .file(path: path)
    }
}
