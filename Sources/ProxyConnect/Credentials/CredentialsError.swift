/// The reason why a user name or a password cannot be used.
public enum CredentialsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A control character in the user name or the password.
    case controlCharacter
    /// A colon in the user name, which Basic cannot carry (RFC 7617, section 2).
    case colonInUser

    /// The reason without the text itself.
    public var description: String {
        switch self {
        case .controlCharacter: "control character in the proxy's user name or password"
        case .colonInUser: "colon in the proxy's user name, which Basic authentication cannot carry"
        }
    }
}
