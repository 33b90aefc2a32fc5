import HTTP1

extension ConnectExchange {
    /// The request without credentials of an authenticator.
    static func request(
        _ target: String,
        _ extra: HeaderFields,
        _ userAgent: String?
    ) throws(HTTP1Error) -> RequestHead {
        // CONNECT has no body, and a length of ours would only help a smuggler.
        guard extra.first("Content-Length") == nil, extra.first("Transfer-Encoding") == nil else {
            throw HTTP1Error(.malformedLength)
        }
        _ = try extra.single("Host")
        var fields = HeaderFields()
        // Proxy-Connection is what HTTP/1.0 proxies look for before they keep a connection between two legs.
        let usual = [("Host", target), ("User-Agent", userAgent ?? ""), ("Proxy-Connection", "Keep-Alive")]
        for (name, value) in usual where extra.first(name) == nil && !value.isEmpty {
            try fields.append(name, value)
        }
        for (name, value) in extra {
            try fields.append(name, value)
        }
        return RequestHead(method: "CONNECT", target: target, fields: fields)
    }
}

extension ResponseHead {
    /// True when the connection can carry another exchange once this answer's body is past (RFC 9112 section 9.3).
    /// A length beside a transfer coding tells that somebody on the way got the framing wrong: no reuse (section 6.1).
    var keepsConnection: Bool {
        let options = (fields.list("Connection") + fields.list("Proxy-Connection")).map { $0.lowercased() }
        guard !options.contains("close") else { return false }
        guard fields.first("Transfer-Encoding") == nil || fields.first("Content-Length") == nil else { return false }
        return version >= .http1_1 || options.contains("keep-alive")
    }
}
