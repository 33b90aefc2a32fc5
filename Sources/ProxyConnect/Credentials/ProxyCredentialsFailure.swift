import HTTP1

/// The reason why given credentials cannot be used.
public enum ProxyCredentialsFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// A user without a password in any source.
    case noPassword(user: String)
    /// An unusable netrc entry.
    case netrc(NetrcError)

    /// The reason without any password.
    public var description: String {
        switch self {
        case .noPassword(let user): "no password for the proxy's user \(user.escapedForDisplay())"
        case .netrc(let error): "netrc: \(error)"
        }
    }
}
