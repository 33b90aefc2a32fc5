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
    /// - Throws: when what netrc has for this proxy cannot be used.
    public func credentials(for proxy: ProxyURL) throws(NetrcError) -> ProxyCredentials? {
        if let own = proxy.credentials, !own.password.isEmpty { return own }
        guard let user = proxy.credentials?.user ?? user else { return try netrc?.credentials(host: proxy.host) }
        var password = password
        if password == nil { password = try netrc?.credentials(host: proxy.host, user: user)?.password }
        guard !(user.isEmpty && (password ?? "").isEmpty) else { return nil }
        return try? ProxyCredentials(user: user, password: password ?? "")
    }

    /// Nothing of what it holds.
    public var description: String { "proxy credential sources" }

    /// Shows nothing but the description.
    public var customMirror: Mirror { Mirror(self, children: ["sources": description]) }
}
