import HTTP1

/// The reason why a client's handshake failed.
public enum UpgradeError: Error, Equatable, Sendable {
    /// A status other than 101, from the server or an intermediary. `retryAfter` is the number of seconds in
    /// `Retry-After`; nil if it is absent, a date, or above 999,999,999. Redirects are not followed, since credentials
    /// would go with them.
    case status(Int, retryAfter: Int?)
    /// A 101 with an HTTP version other than 1.1.
    case version(HTTPVersion)
    /// A 101 whose `Upgrade` is not `websocket` alone.
    case missingUpgrade
    /// A 101 whose `Connection` does not list `upgrade`.
    case missingConnection
    /// A 101 without `Sec-WebSocket-Accept`, or with several.
    case missingAccept
    /// A 101 whose `Sec-WebSocket-Accept` does not answer the key.
    case wrongAccept
    /// A 101 with an extension that was not offered.
    case unrequestedExtension
    /// An answer about permessage-deflate that does not fit the offer (RFC 7692, section 7.1).
    case deflateParameters
    /// A 101 with several subprotocols, or with one that was not offered.
    case unrequestedSubprotocol

    /// A key that does not have 16 bytes.
    case invalidKey
    /// An authority or path that a request cannot carry.
    case invalidTarget
    /// A subprotocol that is not a token, or is offered twice.
    case invalidSubprotocol
    /// An additional field that the handshake sets itself or cannot contain, with its name.
    case reservedField(String)
}

extension UpgradeError: CustomStringConvertible {
    /// One line for people. Contains only numbers from the peer.
    public var description: String {
        switch self {
        case .status(let status, let retryAfter):
            "the server answered \(status) instead of 101" + Self.hint(status)
                + (retryAfter.map { "; it asks for a retry in \($0) s" } ?? "")
        case .version(let version): "the server upgraded in \(version)"
        case .missingUpgrade: "the server's 101 does not say Upgrade: websocket"
        case .missingConnection: "the server's 101 does not say Connection: Upgrade"
        case .missingAccept: "the server's 101 has no Sec-WebSocket-Accept, or several"
        case .wrongAccept: "the server's Sec-WebSocket-Accept does not answer the key"
        case .unrequestedExtension: "the server chose an extension that was not offered"
        case .deflateParameters: "the server's answer about permessage-deflate does not fit the offer"
        case .unrequestedSubprotocol: "the server chose a subprotocol that was not offered"
        case .invalidKey: "a Sec-WebSocket-Key must have 16 bytes"
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
        case 407: " (a proxy requires credentials)"
        case 426: " (the upgrade did not reach the server: does the proxy or front forward it?)"
        case 429, 503: " (busy)"
        case 502, 504: " (a front cannot reach the server behind it)"
        default: ""
        }
    }
}
