import HTTP1

extension ConnectExchange {
    /// Returns the request without an authenticator's credentials.
    ///
    /// - Throws: ``HTTP1Error`` if a part cannot be sent.
    static func request(
        _ target: String,
        _ extra: HeaderFields,
        _ userAgent: String?
    ) throws(HTTP1Error) -> RequestHead {
        // CONNECT has no body, and a length field would only help request smuggling.
        guard extra.first("Content-Length") == nil, extra.first("Transfer-Encoding") == nil else {
            throw HTTP1Error(.malformedLength)
        }
        _ = try extra.single("Host")
        var fields = HeaderFields()
        // HTTP/1.0 proxies keep a connection between two legs only if Proxy-Connection asks for it.
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
    /// Whether the connection can carry another exchange after this answer's body (RFC 9112, section 9.3). A length
    /// beside a transfer coding means that an intermediary framed it wrongly, so the connection is not reused (section
    /// 6.1).
    var keepsConnection: Bool {
        let options = (fields.list("Connection") + fields.list("Proxy-Connection")).map { $0.lowercased() }
        guard !options.contains("close") else { return false }
        guard fields.first("Transfer-Encoding") == nil || fields.first("Content-Length") == nil else { return false }
        return version >= .http1_1 || options.contains("keep-alive")
    }

    /// Returns the head whose framing applies when the body is discarded to reuse the connection; nil if it cannot be
    /// reused.
    ///
    /// - Parameter isBound: whether the scheme needs this very connection. Common errors of proxies are then resolved
    ///   by the likeliest reading. A length in HTTP/1.0 means that the connection is kept, a length beside chunks is
    ///   void, and missing framing beside keep-alive means no body.
    func framedForReuse(isBound: Bool) -> ResponseHead? {
        let isFramed = fields.first("Content-Length") != nil || fields.first("Transfer-Encoding") != nil
        if keepsConnection, isFramed { return self }
        let options = (fields.list("Connection") + fields.list("Proxy-Connection")).map { $0.lowercased() }
        guard isBound, !options.contains("close"), isFramed || options.contains("keep-alive") else { return nil }
        var framed = HeaderFields()
        let isChunked = fields.first("Transfer-Encoding") != nil
        do throws(HTTP1Error) {
            for (name, value) in fields where !(isChunked && name.lowercased() == "content-length") {
                try framed.append(name, value)
            }
            if !isFramed { try framed.append("Content-Length", "0") }
        } catch {
            return nil
        }
        return ResponseHead(version: .http1_1, status: status, reason: reason, fields: framed)
    }
}
