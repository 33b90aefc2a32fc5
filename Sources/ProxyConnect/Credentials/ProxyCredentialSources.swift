/// The sources of a proxy's credentials in their order: the proxy's URL, the options for all proxies, then netrc. A
/// user without a password gets it from the next source that has one for that user.
public struct ProxyCredentialSources: Sendable, CustomStringConvertible, CustomReflectable {
    /// The user for all proxies.
    public var user: String?
    /// The password for all proxies.
    public var password: String?
    /// The user's netrc; nil if it is not used.
    public var netrc: Netrc?

    /// Creates an empty set of sources.
    public init() {}

    /// Returns the credentials for a proxy; nil if no source has any. An empty user with an empty password, as in
    /// curl's `:`, selects a ticket and counts as none.
    ///
    /// - Throws: `noPassword` if no source has the user's password, since an empty one would be a wrong attempt.
    ///   `netrc` if its entry for this proxy cannot be used.
    public func credentials(for proxy: ProxyURL) throws(ProxyCredentialsFailure) -> ProxyCredentials? {
        if let own = proxy.credentials, proxy.namesPassword { return own.orNothing }
        guard let user = proxy.credentials?.user ?? user else { return try fromNetrc(proxy, nil) }
        // A password given with one user does not apply to another.
        if let password, self.user == nil || self.user == user {
            return try? ProxyCredentials(user: user, password: password).orNothing
        }
        if let found = try fromNetrc(proxy, user) { return found }
        throw .noPassword(user: user)
    }

    private func fromNetrc(_ proxy: ProxyURL, _ user: String?) throws(ProxyCredentialsFailure) -> ProxyCredentials? {
        do throws(NetrcError) {
            return try netrc?.credentials(host: proxy.host, user: user)?.orNothing
        } catch {
            throw .netrc(error)
        }
    }

    /// A constant, without any contents.
    public var description: String { "proxy credential sources" }

    /// Hides everything but the description.
    public var customMirror: Mirror { Mirror(self, children: ["sources": description]) }
}

extension ProxyCredentials {
    /// These credentials; nil if both parts are empty.
    fileprivate var orNothing: ProxyCredentials? { user.isEmpty && password.isEmpty ? nil : self }
}
