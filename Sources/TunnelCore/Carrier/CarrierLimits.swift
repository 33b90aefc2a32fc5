/// What one WebSocket is held to, beside the length of the session's frames.
public struct CarrierLimits: Sendable, Equatable {
    /// Fragments of one message. 32: middleboxes cut a message into few pieces; thousands cost more than their bytes.
    public var fragments = 32
    /// WebSocket pings of the peer in ten seconds. 20: a session has its own, so these come from middleboxes, and seldom.
    public var pingsInTenSeconds = 20

    /// The defaults.
    public init() {}
}
