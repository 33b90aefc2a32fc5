import HTTP1

/// Why a user name or a password cannot be used.
public enum CredentialsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A control character in the user name or the password.
    case controlCharacter
    /// A colon in the user name, which Basic cannot carry (RFC 7617 section 2).
    case colonInUser

    /// The reason, without the text itself.
    public var description: String {
        switch self {
        case .controlCharacter: "control character in the proxy's user name or password"
        case .colonInUser: "colon in the proxy's user name, which Basic authentication cannot carry"
        }
    }
}

/// What a proxy wants to know. However it is printed, dumped or reflected, the password shows as `***`.
public struct ProxyCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The user name; for NTLM `DOMAIN\user` or `user@domain` as the person wrote it.
    public let user: String
    /// The password.
    public let password: String

    /// Credentials as given.
    ///
    /// - Throws: `controlCharacter` (R16): a line end that was smuggled in must not reach any head. A colon in the user
    ///   name is for the scheme to judge.
    public init(user: String, password: String) throws(CredentialsError) {
        for scalar in (user + password).unicodeScalars where scalar.properties.generalCategory == .control {
            throw .controlCharacter
        }
        self.user = user
        self.password = password
    }

    /// Credentials written as `USER:PASSWORD`, taken literally; the first colon splits. Without one the password is
    /// empty.
    ///
    /// - Throws: `controlCharacter`.
    public init(literal text: String) throws(CredentialsError) {
        let user = text.utf8.prefix { $0 != UInt8(ascii: ":") }
        let password = text.utf8[user.endIndex...].dropFirst()
        try self.init(user: String(Substring(user)), password: String(Substring(password)))
    }

    /// `user:***`.
    public var description: String { "\(user.escapedForDisplay()):***" }

    /// `user:***`.
    public var debugDescription: String { description }

    /// Shows nothing but the description.
    public var customMirror: Mirror { Mirror(self, children: ["user": user, "password": "***"]) }
}
