/// Limits of one WebSocket, beside the length of the session's frames.
public struct CarrierLimits: Sendable, Equatable {
    /// Fragments of one message. 32: middleboxes cut a message into few fragments, and thousands cost more than their bytes.
    public var fragments = 32
    /// WebSocket pings of the peer in ten seconds. 20: a session has pings of its own, so these come from middleboxes.
    public var pingsInTenSeconds = 20

    /// The defaults.
    public init() {}
}
