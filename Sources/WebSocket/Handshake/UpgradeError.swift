import HTTP1

/// Why a client's opening handshake did not come about.
public enum UpgradeError: Error, Equatable, Sendable {
    /// The server, or something on the way, answered with another status than 101. `retryAfter` is the number of
    /// seconds that `Retry-After` asks for, or nil when it is absent, a date, or beyond 999,999,999. A redirect is
    /// never followed: credentials would go with it.
    case status(Int, retryAfter: Int?)
    /// A 101 of another version than HTTP/1.1.
    case version(HTTPVersion)
    /// A 101 whose `Upgrade` is not `websocket` alone.
    case missingUpgrade
    /// A 101 whose `Connection` does not list `upgrade`.
    case missingConnection
    /// A 101 without `Sec-WebSocket-Accept`, or with several.
    case missingAccept
    /// A 101 whose `Sec-WebSocket-Accept` does not answer our key.
    case wrongAccept
    /// A 101 that names an extension; none was offered.
    case unrequestedExtension
    /// The server's answer about permessage-deflate does not fit our offer (RFC 7692 section 7.1).
    case deflateParameters
    /// A 101 that names a subprotocol that was not offered, or several.
    case unrequestedSubprotocol

    /// A key that is not of 16 bytes.
    case invalidKey
    /// An authority or path that no request can carry.
    case invalidTarget
    /// A subprotocol that is no token, or is offered twice.
    case invalidSubprotocol
    /// An additional field that the handshake sets itself, or that cannot stand in it, by its name.
    case reservedField(String)
}

extension UpgradeError: CustomStringConvertible {
    /// One line for a person. It holds nothing of the peer's but numbers.
    public var description: String {
        switch self {
        case .status(let status, let retryAfter):
            "the server answered \(status) instead of 101" + Self.hint(status)
                + (retryAfter.map { "; it asks to come back in \($0) s" } ?? "")
        case .version(let version): "the server upgraded in \(version)"
        case .missingUpgrade: "the server's 101 does not say Upgrade: websocket"
        case .missingConnection: "the server's 101 does not say Connection: Upgrade"
        case .missingAccept: "the server's 101 has no Sec-WebSocket-Accept, or several"
        case .wrongAccept: "the server's Sec-WebSocket-Accept does not answer our key"
        case .unrequestedExtension: "the server chose an extension that was not offered"
        case .deflateParameters: "the server's answer about permessage-deflate does not fit our offer"
        case .unrequestedSubprotocol: "the server chose a subprotocol that was not offered"
        case .invalidKey: "a Sec-WebSocket-Key must be of 16 bytes"
        case .invalidTarget: "malformed host or path for the upgrade request"
        case .invalidSubprotocol: "malformed or repeated subprotocol"
        case .reservedField(let name): "the field \(name) cannot be added to the upgrade request"
        }
    }

    private static func hint(_ status: Int) -> String {
        switch status {
        case 200..<300: " (not a WebSocket server, or a proxy's own page)"
        case 300..<400: " (redirects are not followed)"
        case 401, 403: " (not allowed)"
        case 404: " (wrong path?)"
        case 407: " (a proxy wants credentials)"
        case 426: " (the upgrade did not reach the server: does the proxy or front pass it on?)"
        case 429, 503: " (busy)"
        case 502, 504: " (a front cannot reach the server behind it)"
        default: ""
        }
    }
}
