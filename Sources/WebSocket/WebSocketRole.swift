/// The role of one end of a WebSocket connection.
///
/// The role determines the direction of masking (RFC 6455, section 5.1): a client masks every frame, a server none.
public enum WebSocketRole: Sendable {
    /// The end that sent the upgrade request.
    case client
    /// The end that answered the upgrade request.
    case server

    /// Whether frames that this end sends carry a mask.
    var masksOutput: Bool { self == .client }

    /// Whether frames that this end receives must carry a mask.
    var expectsMaskedInput: Bool { self == .server }
}
