import HTTP1

/// A user name and a password for a proxy. The password appears as `***` in every description, dump and mirror.
public struct ProxyCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The user name; for NTLM in the form `DOMAIN\user` or `user@domain`.
    public let user: String
    /// The password.
    public let password: String

    /// Creates credentials.
    ///
    /// - Throws: `controlCharacter` (R16), so that a smuggled line end cannot reach a head. The scheme decides about a
    ///   colon in the user name.
    public init(user: String, password: String) throws(CredentialsError) {
        for scalar in (user + password).unicodeScalars where scalar.properties.generalCategory == .control {
            throw .controlCharacter
        }
        self.user = user
        self.password = password
    }

    /// Creates credentials from `USER:PASSWORD`, taken literally. The first colon splits; without one the password is
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

    /// Hides the password.
    public var customMirror: Mirror { Mirror(self, children: ["user": user, "password": "***"]) }
}
