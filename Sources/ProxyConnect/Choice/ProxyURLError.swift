/// An error in a proxy's URL. Never contains any of its text.
public enum ProxyURLError: Error, Sendable, Equatable, CustomStringConvertible {
    /// An empty text.
    case empty
    /// A scheme other than http, https, socks5 and socks5h.
    case unknownScheme
    /// A host that is neither a name, an IPv4 address nor a bracketed IPv6 address.
    case malformedHost
    /// A port that is not a number from 1 to 65535.
    case malformedPort
    /// Percent signs that do not decode to UTF-8, or a second `@`.
    case malformedUserinfo
    /// A control character or a space, even if percent-encoded.
    case controlCharacter
    /// A path other than `/`, a query or a fragment.
    case unexpectedPath

    /// The reason and the correct form.
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
