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
    /// - Parameter host: the Host field as the visitor has sent it.
    func write(host: String, to fields: inout HeaderFields) throws(HTTP1Error) {
        let hasForwarded = fields.first("Forwarded") != nil
        let hasFor = fields.first("X-Forwarded-For") != nil
        if !hasFor { try fields.append("X-Forwarded-For", address) }
        if fields.first("X-Forwarded-Proto") == nil { try fields.append("X-Forwarded-Proto", scheme) }
        if fields.first("X-Forwarded-Host") == nil { try fields.append("X-Forwarded-Host", host) }
        guard !hasForwarded else { return }
        let node = address.contains(":") ? "\"[\(address)]\"" : address
        let quoted = host.contains(":") ? "\"\(host)\"" : host
        try fields.append("Forwarded", "for=\(node);host=\(quoted);proto=\(scheme)")
    }
}
