import HTTP1

/// The client's side of the handshake (RFC 6455, section 4.1): creates the request and checks the answer.
///
/// Not enforced: the number of interim answers and the time for all of them, which the caller must limit. No Origin is
/// sent unless the additional fields contain it.
public struct ClientUpgrade: Sendable {
    private let authority: String
    private let path: String
    private let subprotocols: [String]
    private let fields: HeaderFields
    private let deflate: DeflateOptions?
    private let key: String

    /// Creates a handshake for one connection; each connection needs its own, with a new key.
    ///
    /// - Parameters:
    ///   - authority: the value of Host, `host` or `host:port`.
    ///   - path: the encoded path with its query, beginning with `/`.
    ///   - subprotocols: the offers, the preferred one first.
    ///   - fields: additional fields, such as Authorization, but none that the handshake sets.
    ///   - deflate: the wishes for permessage-deflate; nil offers none.
    ///   - key: 16 random bytes.
    /// - Throws: `invalidTarget`, `invalidSubprotocol`, `reservedField` or `invalidKey`.
    public init(
        authority: String,
        path: String,
        subprotocols: [String] = [],
        fields: HeaderFields = HeaderFields(),
        deflate: DeflateOptions? = nil,
        key: [UInt8] = ClientUpgrade.randomKey()
    ) throws(UpgradeError) {
        guard key.count == AcceptKey.keyBytes else { throw .invalidKey }
        guard path.utf8.first == UInt8(ascii: "/") else { throw .invalidTarget }
        guard Set(subprotocols).count == subprotocols.count, subprotocols.allSatisfy(Self.isToken) else {
            throw .invalidSubprotocol
        }
        for (name, _) in fields where Self.isReserved(name) {
            throw .reservedField(name)
        }
        self.authority = authority
        self.path = path
        self.subprotocols = subprotocols
        self.fields = fields
        self.deflate = deflate
        self.key = AcceptKey.encode(key)
        do {
            _ = try makeRequest().route()
        } catch {
            throw .invalidTarget
        }
    }

    /// Returns 16 bytes from the system's secure source.
    public static func randomKey() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<AcceptKey.keyBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// Returns the request.
    ///
    /// - Throws: `invalidTarget`, although the initialiser has checked all parts.
    public func request() throws(UpgradeError) -> RequestHead {
        do {
            return try makeRequest()
        } catch {
            throw .invalidTarget
        }
    }

    /// Returns whether an answer is an interim one to skip: a status from 100 to 199 except 101 (RFC 9110, section
    /// 15.2). The final answer follows. Skip a limited number of them.
    public static func isInterim(_ response: ResponseHead) -> Bool {
        (100..<200).contains(response.status) && response.status != 101
    }

    /// Checks the final answer. Bytes received behind its head belong to ``Connection/receive(_:)``.
    ///
    /// A server may choose no subprotocol although some were offered; the caller decides whether that is acceptable.
    ///
    /// - Throws: ``UpgradeError`` for the first fault. The TCP connection must then be closed without sending anything.
    public func verify(_ response: ResponseHead) throws(UpgradeError) -> Agreement {
        guard response.status == 101 else {
            throw .status(response.status, retryAfter: Self.retryAfter(response.fields))
        }
        guard response.version == .http1_1 else { throw .version(response.version) }
        let upgrade = response.fields.list("Upgrade")
        guard upgrade.count == 1, response.fields.contains("Upgrade", token: "websocket") else {
            throw .missingUpgrade
        }
        guard response.fields.contains("Connection", token: "upgrade") else { throw .missingConnection }
        let accepts = response.fields.values(of: "Sec-WebSocket-Accept")
        guard let accept = accepts.first, accepts.count == 1 else { throw .missingAccept }
        guard accept == AcceptKey.accept(for: key) else { throw .wrongAccept }
        let agreed = try DeflateNegotiation.judge(response.fields.values(of: "Sec-WebSocket-Extensions"), deflate)
        let chosen = response.fields.values(of: "Sec-WebSocket-Protocol")
        guard let subprotocol = chosen.first else { return Agreement(deflate: agreed) }
        guard chosen.count == 1, subprotocols.contains(subprotocol) else { throw .unrequestedSubprotocol }
        return Agreement(subprotocol: subprotocol, deflate: agreed)
    }

    private func makeRequest() throws(HTTP1Error) -> RequestHead {
        var all = try HeaderFields([
            ("Host", authority),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
        ])
        if !subprotocols.isEmpty {
            try all.append("Sec-WebSocket-Protocol", subprotocols.joined(separator: ", "))
        }
        if let deflate {
            try all.append("Sec-WebSocket-Extensions", DeflateNegotiation.offer(deflate))
        }
        for (name, value) in fields {
            try all.append(name, value)
        }
        return RequestHead(method: "GET", target: path, version: .http1_1, fields: all)
    }

    /// Returns the seconds in `Retry-After`; nil for a date, which would need a clock.
    private static func retryAfter(_ fields: HeaderFields) -> Int? {
        guard let text = fields.first("Retry-After"), (1...9).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int(text)
    }

    /// Returns whether the handshake sets a field itself, so that no additional field may have its name.
    package static func isReserved(_ name: String) -> Bool {
        let reserved = [
            "Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Trailer", "TE",
        ]
        let prefix = "Sec-WebSocket-"
        return reserved.contains { $0.equalsIgnoringCase(name) }
            || String(name.prefix(prefix.count)).equalsIgnoringCase(prefix)
    }

    /// Returns whether the text is a token (RFC 9110, section 5.6.2), which is the syntax of a field's name.
    private static func isToken(_ text: String) -> Bool {
        var probe = HeaderFields()
        return (try? probe.append(text, "")) != nil
    }
}
