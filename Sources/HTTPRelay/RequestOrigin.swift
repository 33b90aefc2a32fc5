import HTTP1

/// Where a request comes from, for the service.
public struct RequestOrigin: Sendable, Hashable {
    /// The visitor's address, without a port and brackets.
    public var address: String
    /// Whether the visitor has come over TLS.
    public var isSecure: Bool
    /// Whether a front that the operator trusts has sent the request. Its own statements are passed on then.
    public var isFromFront: Bool

    /// An origin.
    public init(address: String, isSecure: Bool, isFromFront: Bool = false) {
        (self.address, self.isSecure, self.isFromFront) = (address, isSecure, isFromFront)
    }

    /// `http` or `https`.
    public var scheme: String { isSecure ? "https" : "http" }

    /// Adds X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239), unless a front has.
    ///
    /// - Parameters:
    ///   - host: the Host field as the visitor has sent it.
    ///   - replaced: spellings of fields that are set to other values.
    func write(host: String, to fields: inout HeaderFields, except replaced: Set<String>) throws(HTTP1Error) {
        let own = [("X-Forwarded-For", address), ("X-Forwarded-Proto", scheme), ("X-Forwarded-Host", host)]
        for (name, value) in own where fields.first(name) == nil && !replaced.contains(name.lowercased()) {
            try fields.append(name, value)
        }
        guard fields.first("Forwarded") == nil, !replaced.contains("forwarded") else { return }
        let node = address.contains(":") ? "\"[\(address)]\"" : address
        let quoted = host.contains(":") ? "\"\(host)\"" : host
        try fields.append("Forwarded", "for=\(node);host=\(quoted);proto=\(scheme)")
    }
}
