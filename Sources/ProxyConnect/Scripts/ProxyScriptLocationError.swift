/// An error in the location of a proxy script.
public enum ProxyScriptLocationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A scheme other than pac+http and pac+file.
    case unknownScheme
    /// pac+https, which is not supported.
    case encrypted
    /// A control character or a space.
    case controlCharacter
    /// A malformed host or port.
    case malformedHost
    /// A user, which the server is not told.
    case credentials
    /// A fragment, undecodable percent signs, or a query in a file's URL.
    case malformedPath
    /// A file path that does not begin with a slash.
    case relativePath

    /// The reason and the correct form.
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
