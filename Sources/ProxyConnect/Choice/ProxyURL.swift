import ByteText
import HTTP1
import NetworkAddress

/// Where a proxy is and how it is spoken to.
///
/// `[scheme://][user[:password]@]host[:port][/]`, parsed strictly (R16, R17). Without a scheme it is `http`. Default
/// ports are the schemes' own: 80, 443, and 1080 for SOCKS; curl takes 1080 for all of them, which surprises more people
/// than it serves, so write the port. Which schemes can be dialled is decided elsewhere.
///
/// Not enforced: that the name exists.
public struct ProxyURL: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The protocol spoken to the proxy.
    public enum Scheme: String, Sendable, Hashable, CaseIterable {
        /// HTTP CONNECT.
        case http
        /// HTTP CONNECT within TLS to the proxy.
        case https
        /// SOCKS version 5; the proxy resolves the name.
        case socks5
        /// SOCKS version 5; the proxy resolves the name.
        case socks5h

        /// Whether it is a version of SOCKS.
        public var isSOCKS: Bool { self == .socks5 || self == .socks5h }

        /// The port when the URL names none.
        public var defaultPort: Int {
            switch self {
            case .http: 80
            case .https: 443
            case .socks5, .socks5h: 1080
            }
        }
    }

    /// The protocol spoken to the proxy.
    public let scheme: Scheme
    /// A name or an address; an IPv6 address without its brackets.
    public let host: String
    /// 1 to 65535.
    public let port: Int
    /// What stood before the `@`, percent-decoded.
    public let credentials: ProxyCredentials?
    /// Whether a password stood there too, be it an empty one behind a colon.
    public let namesPassword: Bool

    /// The proxy that the text names.
    ///
    /// - Throws: what is wrong; the error never holds the text, since that may hold a password.
    public init(_ text: String) throws(ProxyURLError) {
        guard !text.isEmpty else { throw .empty }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw .controlCharacter }
        var rest = text.utf8[...]
        scheme = try Self.takeScheme(&rest)
        let authority = rest.prefix { !"/?#".utf8.contains($0) }
        guard authority.endIndex == rest.endIndex || rest[authority.endIndex...].elementsEqual("/".utf8) else {
            throw .unexpectedPath
        }
        let parts = authority.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        switch parts.count {
        case 1: (credentials, namesPassword) = (nil, false)
        case 2: (credentials, namesPassword) = (try Self.credentials(parts[0]), parts[0].contains(UInt8(ascii: ":")))
        default: throw .malformedUserinfo
        }
        (host, port) = try Self.address(parts.last ?? authority, scheme)
    }

    /// `scheme://host:port`, without any credentials.
    public var redacted: String { "\(scheme.rawValue)://\(Self.bracketed(host)):\(port)" }

    /// The URL with the user's name and `***` for the password.
    public var description: String {
        guard let credentials else { return redacted }
        return "\(scheme.rawValue)://\(credentials)@\(Self.bracketed(host)):\(port)"
    }

    /// The same as `description`.
    public var debugDescription: String { description }

    /// The host as it stands in a URL or a Host field: an IPv6 address in brackets.
    static func bracketed(_ host: String) -> String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    }

    private static func takeScheme(_ rest: inout Substring.UTF8View) throws(ProxyURLError) -> Scheme {
        let name = rest.prefix { $0 != UInt8(ascii: ":") }
        let tail = rest[name.endIndex...]
        guard tail.starts(with: "://".utf8) else { return .http }
        let text = String(Substring(name)).lowercased()
        // As desktops write it into the environment; SOCKS 4 has not been meant by it for long.
        guard let scheme = text == "socks" ? .socks5 : Scheme(rawValue: text) else { throw .unknownScheme }
        rest = tail.dropFirst(3)
        return scheme
    }

    private static func credentials(_ userinfo: Substring.UTF8View) throws(ProxyURLError) -> ProxyCredentials? {
        guard !userinfo.isEmpty else { return nil }
        let user = userinfo.prefix { $0 != UInt8(ascii: ":") }
        let password = userinfo[user.endIndex...].dropFirst()
        guard let user = percentDecoded(user), let password = percentDecoded(password) else {
            throw .malformedUserinfo
        }
        do throws(CredentialsError) {
            return try ProxyCredentials(user: user, password: password)
        } catch {
            throw .controlCharacter
        }
    }

    /// The text behind the percent signs, or nil where one is not followed by two digits or the bytes are no UTF-8.
    static func percentDecoded(_ text: Substring.UTF8View) -> String? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(Substring(digits), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func address(
        _ text: Substring.UTF8View,
        _ scheme: Scheme
    ) throws(ProxyURLError) -> (String, Int) {
        var host = text.prefix { $0 != UInt8(ascii: ":") }
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { throw .malformedHost }
            host = text[...close]
        }
        let tail = text[host.endIndex...]
        var port = scheme.defaultPort
        if let colon = tail.first {
            guard colon == UInt8(ascii: ":"), let number = DecimalText.value(tail.dropFirst(), through: 65535),
                number > 0
            else { throw .malformedPort }
            port = number
        }
        guard let name = HostName.normalized(String(Substring(host))) else { throw .malformedHost }
        return (name, port)
    }
}

/// What is wrong with a proxy's URL. Never holds any of its text.
public enum ProxyURLError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No text at all.
    case empty
    /// Something before `://` that is not http, https, socks5 or socks5h.
    case unknownScheme
    /// A host that is neither a name nor an IPv4 address nor an IPv6 address in brackets.
    case malformedHost
    /// A port that is not a number from 1 to 65535.
    case malformedPort
    /// Percent signs that do not decode to UTF-8, or a second `@`.
    case malformedUserinfo
    /// A control character or a space, also one that was percent-encoded.
    case controlCharacter
    /// A path other than `/`, a query or a fragment.
    case unexpectedPath

    /// The reason and how to write it instead.
    public var description: String {
        switch self {
        case .empty: "the proxy's URL is empty"
        case .unknownScheme: "the proxy's URL must begin with http://, https://, socks5:// or socks5h://"
        case .malformedHost:
            "the proxy's host must be a name, an IPv4 address, or an IPv6 address in brackets"
        case .malformedPort: "the proxy's port must be a number from 1 to 65535"
        case .malformedUserinfo:
            "the user or the password in the proxy's URL is not well-formed: write @ : / and % as %40 %3A %2F and %25"
        case .controlCharacter: "a control character or a space in the proxy's URL"
        case .unexpectedPath:
            "the proxy's URL must end after the port (a / ? or # in the password is written %2F %3F %23)"
        }
    }
}
