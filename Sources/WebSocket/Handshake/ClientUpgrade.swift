import HTTP1

/// A client's opening handshake (RFC 6455 section 4.1): makes the request and judges the answer.
///
/// Not enforced here: how many interim answers are read and how long it all may take, which is for whoever reads them.
/// No Origin is sent unless it is among the additional fields.
public struct ClientUpgrade: Sendable {
    private let authority: String
    private let path: String
    private let subprotocols: [String]
    private let fields: HeaderFields
    private let deflate: DeflateOptions?
    private let key: String

    /// A handshake for one connection; make a new one, with a new key, for each.
    ///
    /// - Parameters:
    ///   - authority: what Host says, `host` or `host:port`.
    ///   - path: the path with its query, from `/` on, already encoded.
    ///   - subprotocols: those offered, the preferred one first.
    ///   - fields: additional ones, such as Authorization. None that the handshake sets itself.
    ///   - deflate: offers permessage-deflate; nil offers nothing.
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

    /// 16 bytes from the system's secure source.
    public static func randomKey() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<AcceptKey.keyBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// The request.
    ///
    /// - Throws: `invalidTarget`; in fact the parts have been checked before.
    public func request() throws(UpgradeError) -> RequestHead {
        do {
            return try makeRequest()
        } catch {
            throw .invalidTarget
        }
    }

    /// True for an answer to be skipped: a status from 100 to 199 other than 101 (RFC 9110 section 15.2). The real one
    /// follows. Skip a bounded number of them.
    public static func isInterim(_ response: ResponseHead) -> Bool {
        (100..<200).contains(response.status) && response.status != 101
    }

    /// Judges the final answer. What was received behind its head belongs to the connection's `receive`.
    ///
    /// A server may choose no subprotocol although some were offered; whether that will do is for the caller to say.
    ///
    /// - Throws: what is wrong with it. Close the TCP connection then: nothing may be sent on it.
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

    /// Seconds only: a date would need a clock.
    private static func retryAfter(_ fields: HeaderFields) -> Int? {
        guard let text = fields.first("Retry-After"), (1...9).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int(text)
    }

    /// Whether a field is the handshake's own, so that no other may have its name.
    package static func isReserved(_ name: String) -> Bool {
        let reserved = [
            "Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Trailer", "TE",
        ]
        let prefix = "Sec-WebSocket-"
        return reserved.contains { $0.equalsIgnoringCase(name) }
            || String(name.prefix(prefix.count)).equalsIgnoringCase(prefix)
    }

    /// A token (RFC 9110 section 5.6.2) is what a field's name is: so the list of fields can tell.
    private static func isToken(_ text: String) -> Bool {
        var probe = HeaderFields()
        return (try? probe.append(text, "")) != nil
    }
}
