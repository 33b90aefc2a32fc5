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

/// The syntax of `uri-host [":" port]` without userinfo.
enum HostSyntax {
    static func isAuthority(_ text: some BidirectionalCollection<UInt8>) -> Bool {
        let host: any Collection<UInt8>
        let port: Array<UInt8>
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { return false }
            let literal = text[text.index(after: text.startIndex)..<close]
            guard literal.contains(.colon), literal.allSatisfy({ isLiteral($0) }) else { return false }
            host = literal
            port = Array(text[text.index(after: close)...])
        } else {
            let name = text.prefix { $0 != .colon }
            guard isName(Array(name)) else { return false }
            host = name
            port = Array(text[name.endIndex...])
        }
        return !host.isEmpty && isPort(port)
    }

    private static func isLiteral(_ byte: UInt8) -> Bool {
        byte.hexValue != nil || byte == .colon || byte == UInt8(ascii: ".")
    }

    private static func isName(_ bytes: [UInt8]) -> Bool {
        var encoded = 0
        for byte in bytes {
            if encoded > 0 {
                guard byte.hexValue != nil else { return false }
                encoded -= 1
            } else if byte == UInt8(ascii: "%") {
                encoded = 2
            } else {
                guard byte.isLetter || byte.isDigit || "-._~".utf8.contains(byte) else { return false }
            }
        }
        return encoded == 0
    }

    /// Returns whether the bytes are empty, or a colon and a decimal number from 0 to 65535 with at most five digits.
    private static func isPort(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first else { return true }
        let digits = bytes.dropFirst()
        guard first == .colon, !digits.isEmpty, digits.count <= 5, digits.allSatisfy(\.isDigit) else { return false }
        return digits.reduce(0) { $0 * 10 + Int($1) - 0x30 } <= 65535
    }
}
