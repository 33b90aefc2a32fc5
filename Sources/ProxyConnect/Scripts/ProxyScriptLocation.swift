import HTTP1

/// Where a proxy script (proxy auto-configuration, PAC) is: `pac+http://host[:port]/path` or `pac+file:///path`.
///
/// Parsed strictly, as a proxy's URL is. There are no credentials. A file's path is absolute, and percent signs in it
/// are decoded; that of a web server is sent as it stands.
///
/// Whoever can change the script, or its way here where that is HTTP, chooses the proxy, and so sees to which server
/// the client goes and what it answers to a proxy that asks for credentials. TLS with the server protects all else.
public struct ProxyScriptLocation: Sendable, Hashable, CustomStringConvertible {
    /// What there is to read.
    public enum Source: Sendable, Hashable {
        /// A file, by its absolute path.
        case file(path: String)
        /// A page of a web server: the host without brackets, and the path with its query.
        case http(host: String, port: Int, target: String)
    }

    /// What there is to read.
    public let source: Source

    /// True for a text that means a script and no proxy, well-formed or not.
    public static func isMeant(by text: String) -> Bool {
        text.utf8.count >= prefix.count
            && text.utf8.prefix(prefix.count).elementsEqual(prefix) { $0 == $1 || $0 | 0x20 == $1 }
    }

    private static let prefix = Array("pac+".utf8)

    /// The location that the text names.
    ///
    /// - Throws: what is wrong with it.
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

    /// `host:port` as HTTP's Host has it: without the port where it is 80. Empty for a file.
    public var authority: String {
        guard case .http(let host, let port, _) = source else { return "" }
        return ProxyURL.bracketed(host) + (port == 80 ? "" : ":\(port)")
    }

    /// The URL, safe for a terminal.
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

/// What is wrong with the location of a proxy script.
public enum ProxyScriptLocationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Something other than pac+http and pac+file.
    case unknownScheme
    /// pac+https, which is not there.
    case encrypted
    /// A control character or a space.
    case controlCharacter
    /// A host or a port that is none.
    case malformedHost
    /// A user, which no such server is asked as.
    case credentials
    /// A fragment; percent signs that do not decode; for a file, a query.
    case malformedPath
    /// A file whose path does not begin with a slash.
    case relativePath

    /// The reason and how to write it instead.
    public var description: String {
        switch self {
        case .unknownScheme: "a proxy script's URL must begin with pac+http:// or pac+file:///"
        case .encrypted: "pac+https:// is not supported: save the script, and name it with pac+file:///"
        case .controlCharacter: "a control character or a space in the proxy script's URL: write a space as %20"
        case .malformedHost:
            "the host of the proxy script's URL must be a name, an IPv4 address or an IPv6 address in brackets, and "
                + "the port a number from 1 to 65535"
        case .credentials: "a proxy script's URL has no user or password"
        case .malformedPath:
            "the path of the proxy script's URL is malformed: it has no fragment, and in a file's name % ? # are "
                + "written %25 %3F %23"
        case .relativePath: "the path of a proxy script's file must be absolute: pac+file:///home/me/proxy.pac"
        }
    }
}
