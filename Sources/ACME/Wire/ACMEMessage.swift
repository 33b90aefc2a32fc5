import HTTP1

/// A request to a CA.
public struct ACMERequest: Sendable, Hashable {
    /// The kinds of requests that ACME has.
    public enum Method: String, Sendable {
        /// Reads a resource that needs no account.
        case get = "GET"
        /// Asks for a nonce.
        case head = "HEAD"
        /// Everything else: a signed body.
        case post = "POST"
    }

    /// The method.
    public let method: Method
    /// The resource.
    public let url: ACMEURL
    /// The signed body; empty for GET and HEAD.
    public let body: [UInt8]
    /// Bytes of the longest answer that is read.
    public let answerLimit: Int

    init(_ method: Method, _ url: ACMEURL, body: [UInt8] = [], answerLimit: Int = ACMELimits.answer) {
        self.method = method
        self.url = url
        self.body = body
        self.answerLimit = answerLimit
    }

    /// The request's head, with the fields that ACME wants (RFC 8555, section 6.1).
    ///
    /// - Parameter software: the value of User-Agent.
    /// - Throws: if a part cannot stand in a head.
    public func head(from software: String) throws(HTTP1Error) -> RequestHead {
        var head = RequestHead(method: method.rawValue, target: url.target)
        try head.fields.append("Host", url.authority)
        try head.fields.append("User-Agent", software)
        try head.fields.append("Accept", "*/*")
        try head.fields.append("Accept-Encoding", "identity")
        try head.fields.append("Accept-Language", "en")
        try head.fields.append("Connection", "close")
        if method == .post {
            try head.fields.append("Content-Type", "application/jose+json")
            try head.fields.append("Content-Length", "\(body.count)")
        }
        return head
    }
}

/// A CA's answer.
public struct ACMEResponse: Sendable {
    /// The status code.
    public let status: Int
    /// The fields.
    public let fields: HeaderFields
    /// The content.
    public let body: [UInt8]

    /// An answer with its whole content.
    public init(status: Int, fields: HeaderFields, body: [UInt8]) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// The nonce for the next request; nil if there is none, or if it is malformed (RFC 8555, section 6.5.1).
    var nonce: String? {
        guard let nonce = fields.first("Replay-Nonce"), nonce.utf8.count <= ACMELimits.nonce, Base64URL.isText(nonce)
        else { return nil }
        return nonce
    }

    /// The URL of the resource that was made or found; nil if there is none, or if it cannot be used.
    var location: ACMEURL? { fields.first("Location").flatMap { try? ACMEURL($0) } }

    /// Seconds for which the CA asks to wait; nil if it does not.
    ///
    /// - Parameter now: seconds since 1970.
    public func retryAfter(now: Int64) -> Int? {
        fields.first("Retry-After").flatMap { RetryAfter.seconds($0, now: now) }
    }
}
