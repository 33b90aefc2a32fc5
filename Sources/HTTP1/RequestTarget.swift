/// The destination of a request: its target and Host, split into parts (RFC 9112, sections 3.2 and 3.3).
public struct RequestTarget: Sendable, Equatable {
    /// The Host field, `host` or `host:port`, as received.
    public var authority: String
    /// The path before the first `?`, as received: not decoded, with its dot segments and repeated slashes. Compare it
    /// byte for byte.
    public var path: String
    /// The text behind the first `?`; nil if there is none.
    public var query: String?

    /// Creates a target.
    public init(authority: String, path: String, query: String? = nil) {
        self.authority = authority
        self.path = path
        self.query = query
    }
}

extension RequestHead {
    /// Checks target and Host against each other and splits the target.
    ///
    /// Origin-form and absolute-form (http, https, ws, wss) are accepted. The authority of an absolute target must
    /// equal Host apart from case. Host is required in HTTP/1.0 too.
    ///
    /// Host must be a name of letters, digits, `-._~` and percent-encoded bytes, an IPv4 address, or a bracketed IPv6
    /// literal. A port from 0 to 65535 may follow a colon. RFC 3986 also permits sub-delimiters such as a comma, which
    /// hosts do not use.
    ///
    /// Not enforced: that the host is this server, and the syntax of an IPv6 literal beyond its characters.
    ///
    /// - Throws: `missingHost`, `duplicateField`, `malformedHost`, `hostMismatch`, or `malformedTarget` for every other
    ///   form.
    public func route() throws(HTTP1Error) -> RequestTarget {
        guard let host = try fields.single("Host") else { throw HTTP1Error(.missingHost) }
        guard HostSyntax.isAuthority(host.utf8) else { throw HTTP1Error(.malformedHost) }
        guard target.utf8.allSatisfy(\.isTarget) else { throw HTTP1Error(.malformedTarget) }
        let slash = UInt8(ascii: "/")
        var rest = Substring(target)
        if rest.utf8.first != slash {
            let start = try authorityStart()
            let afterScheme = target.utf8[start...]
            let end = afterScheme.firstIndex { $0 == slash || $0 == UInt8(ascii: "?") } ?? target.utf8.endIndex
            guard HostSyntax.isAuthority(afterScheme[..<end]) else { throw HTTP1Error(.malformedTarget) }
            guard String(target[start..<end]).equalsIgnoringCase(host) else { throw HTTP1Error(.hostMismatch) }
            rest = target[end...]
        }
        let path = rest.utf8.prefix { $0 != UInt8(ascii: "?") }
        let query = rest.utf8[path.endIndex...]
        return RequestTarget(
            authority: host,
            path: path.isEmpty ? "/" : String(Substring(path)),
            query: query.isEmpty ? nil : String(Substring(query.dropFirst()))
        )
    }

    /// Returns the index at which the authority of an absolute-form target begins.
    private func authorityStart() throws(HTTP1Error) -> String.Index {
        for scheme in ["http://", "https://", "ws://", "wss://"] {
            let start = target.utf8.prefix(scheme.utf8.count)
            if String(Substring(start)).equalsIgnoringCase(scheme) { return start.endIndex }
        }
        throw HTTP1Error(.malformedTarget)
    }
}
