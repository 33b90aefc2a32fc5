import ByteText
import NetworkAddress

/// The address of a proxy and the protocol to speak to it.
///
/// The form is `[scheme://][user[:password]@]host[:port][/]`, parsed strictly (R16, R17). The default scheme is `http`.
/// Default ports are those of the schemes: 80, 443, and 1080 for SOCKS. curl uses 1080 for all of them, so write the
/// port.
///
/// Not enforced: that the name exists, and that the scheme is supported.
public struct ProxyURL: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The protocol to the proxy.
    public enum Scheme: String, Sendable, Hashable, CaseIterable {
        /// HTTP CONNECT.
        case http
        /// HTTP CONNECT within TLS to the proxy.
        case https
        /// SOCKS version 5; the proxy resolves the name.
        case socks5
        /// SOCKS version 5; the proxy resolves the name.
        case socks5h

        /// Whether the scheme is a version of SOCKS.
        public var isSOCKS: Bool { self == .socks5 || self == .socks5h }

        /// The port if the URL has none.
        public var defaultPort: Int {
            switch self {
            case .http: 80
            case .https: 443
            case .socks5, .socks5h: 1080
            }
        }
    }

    /// The protocol to the proxy.
    public let scheme: Scheme
    /// A name or an address; IPv6 without brackets.
    public let host: String
    /// The port, 1 to 65535.
    public let port: Int
    /// The percent-decoded text before the `@`.
    public let credentials: ProxyCredentials?
    /// Whether the URL has a password, which may be empty.
    public let namesPassword: Bool

    /// Parses a proxy's URL.
    ///
    /// - Throws: ``ProxyURLError``, which never contains the text, since that may hold a password.
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

    /// The URL without credentials: `scheme://host:port`.
    public var redacted: String { "\(scheme.rawValue)://\(Self.bracketed(host)):\(port)" }

    /// The URL with the user's name and `***` for the password.
    public var description: String {
        guard let credentials else { return redacted }
        return "\(scheme.rawValue)://\(credentials)@\(Self.bracketed(host)):\(port)"
    }

    /// The same as `description`.
    public var debugDescription: String { description }

    /// Returns the host as URLs and Host fields contain it: IPv6 in brackets.
    static func bracketed(_ host: String) -> String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    }

    private static func takeScheme(_ rest: inout Substring.UTF8View) throws(ProxyURLError) -> Scheme {
        let name = rest.prefix { $0 != UInt8(ascii: ":") }
        let tail = rest[name.endIndex...]
        guard tail.starts(with: "://".utf8) else { return .http }
        let text = String(Substring(name)).lowercased()
        // Desktops write `socks` into the environment and no longer mean SOCKS 4.
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

    /// Returns the percent-decoded text; nil if a percent sign lacks two digits or the bytes are not UTF-8.
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
