import HTTP1

/// The server's side of the handshake (RFC 6455, section 4.2): decides which requests are answered with 101.
///
/// A refusal is a constant answer that repeats nothing of the request; the connection must then be closed. The head's
/// parser enforces line ends, field names and sizes.
///
/// Not enforced: authentication. X-Forwarded-For and similar fields are not read. `allowedOrigins`, and `allowedHosts`
/// if set, exclude a page that reaches this server through its own DNS record.
public struct ServerUpgrade: Sendable {
    /// The path that is served, beginning with `/`. Requests must match it byte for byte before any `?`; nothing is
    /// decoded or normalised.
    public var path: String
    /// The supported subprotocols. If there are any, a request must offer one. The first match in the request's order
    /// is chosen.
    public var subprotocols: [String]
    /// The origins whose pages may connect, such as `https://example.org`. A request without Origin is not from a
    /// browser and passes. There is no wildcard.
    public var allowedOrigins: [String]
    /// The accepted values of Host, with the port if there is one; empty to accept every value.
    public var allowedHosts: [String]
    /// The wishes for permessage-deflate if a client offers it; nil declines it.
    public var deflate: DeflateOptions?

    /// Creates a policy.
    public init(
        path: String,
        subprotocols: [String] = [],
        allowedOrigins: [String] = [],
        allowedHosts: [String] = [],
        deflate: DeflateOptions? = nil
    ) {
        self.path = path
        self.subprotocols = subprotocols
        self.allowedOrigins = allowedOrigins
        self.allowedHosts = allowedHosts
        self.deflate = deflate
    }

    /// The answer to a request.
    public enum Answer: Sendable, Equatable {
        /// The 101, after which frames begin.
        case accept(ResponseHead, Agreement)
        /// A refusal: send the head and the body, then close. The reason is for the log and repeats nothing of the
        /// request. The body depends only on the status.
        case refuse(ResponseHead, body: String, reason: String)
    }

    /// Decides on a request.
    ///
    /// - Parameters:
    ///   - request: the request's head.
    ///   - hasLeftovers: whether bytes arrived behind the head. A client must wait for the answer (section 4.1);
    ///     earlier bytes might be a smuggled second request.
    public func answer(_ request: RequestHead, hasLeftovers: Bool) -> Answer {
        do {
            return try judge(request, hasLeftovers: hasLeftovers)
        } catch {
            switch error {
            case .refused(let status, let reason, let fields):
                return Self.refusal(status, reason, fields)
            case .malformed(let error):
                return Self.refusal(.badRequest, error.description, [])
            }
        }
    }

    private enum Status: Int {
        case badRequest = 400
        case forbidden = 403
        case notFound = 404
        case methodNotAllowed = 405
        case expectationFailed = 417
        case misdirectedRequest = 421
        case upgradeRequired = 426
        case internalServerError = 500
        case versionNotSupported = 505

        var text: String { ReasonPhrase.text(for: rawValue) }
    }

    private enum Refusal: Error {
        case refused(Status, String, fields: [(String, String)] = [])
        case malformed(HTTP1Error)
    }

    private func judge(_ request: RequestHead, hasLeftovers: Bool) throws(Refusal) -> Answer {
        let fields = request.fields
        guard request.method == "GET" else {
            throw .refused(.methodNotAllowed, "method is not GET", fields: [("Allow", "GET")])
        }
        guard request.version == .http1_1 else { throw .refused(.versionNotSupported, "not HTTP/1.1") }
        let target = try Self.strictly { () throws(HTTP1Error) in try request.route() }
        try checkNoBody(fields)
        guard fields.values(of: "Expect").isEmpty else { throw .refused(.expectationFailed, "Expect is not supported") }
        let isServed = allowedHosts.isEmpty || allowedHosts.contains { $0.equalsIgnoringCase(target.authority) }
        guard isServed else { throw .refused(.misdirectedRequest, "host is not served") }
        guard target.path.utf8.elementsEqual(path.utf8) else { throw .refused(.notFound, "path is not served") }
        let key = try checkUpgrade(fields)
        try checkOrigin(fields)
        let subprotocol = try choose(fields)
        guard !hasLeftovers else { throw .refused(.badRequest, "bytes behind the request") }
        return try accept(
            key,
            subprotocol,
            deflate.flatMap { options in
                DeflateNegotiation.accept(fields.values(of: "Sec-WebSocket-Extensions"), options)
            }
        )
    }

    /// Refuses a request that has a body, or could be read as having one: it may hide a second request (H16).
    private func checkNoBody(_ fields: HeaderFields) throws(Refusal) {
        guard fields.values(of: "Transfer-Encoding").isEmpty else {
            throw .refused(.badRequest, "upgrade request with Transfer-Encoding")
        }
        let length = try Self.strictly { () throws(HTTP1Error) in try fields.single("Content-Length") }
        guard length == nil || length == "0" else { throw .refused(.badRequest, "upgrade request with a body") }
        _ = try Self.strictly { () throws(HTTP1Error) in try fields.single("Authorization") }
    }

    private func checkUpgrade(_ fields: HeaderFields) throws(Refusal) -> String {
        guard fields.contains("Upgrade", token: "websocket"), fields.contains("Connection", token: "upgrade") else {
            throw .refused(.upgradeRequired, "no request to upgrade to websocket", fields: Self.upgradeFields)
        }
        let version = try Self.strictly { () throws(HTTP1Error) in try fields.single("Sec-WebSocket-Version") }
        guard version == "13" else {
            throw .refused(.upgradeRequired, "WebSocket version is not 13", fields: Self.upgradeFields)
        }
        guard let key = try Self.strictly({ () throws(HTTP1Error) in try fields.single("Sec-WebSocket-Key") }),
            AcceptKey.decode(key) != nil
        else { throw .refused(.badRequest, "missing or malformed Sec-WebSocket-Key") }
        return key
    }

    private func checkOrigin(_ fields: HeaderFields) throws(Refusal) {
        guard let origin = try Self.strictly({ () throws(HTTP1Error) in try fields.single("Origin") }) else { return }
        guard allowedOrigins.contains(where: { $0.equalsIgnoringCase(origin) }) else {
            throw .refused(.forbidden, "origin is not allowed")
        }
    }

    private func choose(_ fields: HeaderFields) throws(Refusal) -> String? {
        guard !subprotocols.isEmpty else { return nil }
        for offered in fields.list("Sec-WebSocket-Protocol") {
            // The answer contains this policy's string, not the request's.
            if let chosen = subprotocols.first(where: { $0 == offered }) { return chosen }
        }
        throw .refused(.badRequest, "no subprotocol in common")
    }

    private func accept(
        _ key: String,
        _ subprotocol: String?,
        _ deflate: (agreement: DeflateAgreement, answer: String)?
    ) throws(Refusal) -> Answer {
        var pairs = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", AcceptKey.accept(for: key)),
        ]
        if let subprotocol {
            pairs.append(("Sec-WebSocket-Protocol", subprotocol))
        }
        if let deflate {
            pairs.append(("Sec-WebSocket-Extensions", deflate.answer))
        }
        guard let fields = try? HeaderFields(pairs) else {
            throw .refused(.internalServerError, "subprotocol of the policy is not a field value")
        }
        let head = ResponseHead(version: .http1_1, status: 101, reason: ReasonPhrase.text(for: 101), fields: fields)
        return .accept(head, Agreement(subprotocol: subprotocol, deflate: deflate?.agreement))
    }

    private static func refusal(_ status: Status, _ reason: String, _ extra: [(String, String)]) -> Answer {
        let body = status.text + "\n"
        var pairs = extra
        if !extra.contains(where: { $0.0 == "Connection" }) {
            pairs.append(("Connection", "close"))
        }
        pairs.append(("Content-Type", "text/plain"))
        pairs.append(("Content-Length", String(body.utf8.count)))
        // All names and values are constants of this file, so none is refused.
        let fields = (try? HeaderFields(pairs)) ?? HeaderFields()
        let head = ResponseHead(version: .http1_1, status: status.rawValue, reason: status.text, fields: fields)
        return .refuse(head, body: body, reason: reason)
    }

    /// A sender of Upgrade must list it in Connection (RFC 9110, section 7.8).
    private static let upgradeFields = [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Connection", "close, Upgrade"),
    ]

    private static func strictly<Value>(_ body: () throws(HTTP1Error) -> Value) throws(Refusal) -> Value {
        do {
            return try body()
        } catch {
            throw .malformed(error)
        }
    }
}
