import HTTP1

/// Where a proxy's credentials may come from, and which of them win: the proxy's URL, then what was given for all
/// proxies, then netrc. A user without a password gets it from the next place that has one for that user.
public struct ProxyCredentialSources: Sendable, CustomStringConvertible, CustomReflectable {
    /// The user that was given for all proxies.
    public var user: String?
    /// The password that was given for all proxies, with that user or in a place of its own.
    public var password: String?
    /// The user's netrc, where it is to be used.
    public var netrc: Netrc?

    /// No source at all.
    public init() {}

    /// What to answer this proxy with; nil where nothing was given for it. A user and a password that are both empty,
    /// as in curl's `:`, stand for a ticket and count as nothing.
    ///
    /// - Throws: `noPassword` for a user whose password is nowhere: an empty one would be a wrong try. `netrc` when what
    ///   that has for this proxy cannot be used.
    public func credentials(for proxy: ProxyURL) throws(ProxyCredentialsFailure) -> ProxyCredentials? {
        if let own = proxy.credentials, proxy.namesPassword { return own.orNothing }
        guard let user = proxy.credentials?.user ?? user else { return try fromNetrc(proxy, nil) }
        // A password that was given with one user is no business of another's.
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

    /// Nothing of what it holds.
    public var description: String { "proxy credential sources" }

    /// Shows nothing but the description.
    public var customMirror: Mirror { Mirror(self, children: ["sources": description]) }
}

/// Why there are no credentials although some were given.
public enum ProxyCredentialsFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// A user was given, and its password nowhere.
    case noPassword(user: String)
    /// What netrc has cannot be used.
    case netrc(NetrcError)

    /// The reason, without any password.
    public var description: String {
        switch self {
        case .noPassword(let user): "no password for the proxy's user \(user.escapedForDisplay())"
        case .netrc(let error): "netrc: \(error)"
        }
    }
}

extension ProxyCredentials {
    /// Nil where both parts are empty.
    fileprivate var orNothing: ProxyCredentials? { user.isEmpty && password.isEmpty ? nil : self }
}
