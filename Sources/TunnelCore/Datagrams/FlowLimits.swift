/// The limits of UDP flows.
public struct FlowLimits: Sendable, Equatable {
    /// Flows of one port at a time. 10,000: each costs a stream, and a socket at the other end. At the limit, an old flow
    /// without an answer gives way, or else one that is not a conversation.
    public var perPort = 10_000
    /// New flows of one port in a second, and half of them from one address; at a server also those that one client opens
    /// to destinations. 2,000: a resolver uses a new port for each
    /// request.
    public var perSecond = 2_000
    /// Silence that ends a flow. 30 s: a lookup takes less.
    public var silence: Duration = .seconds(30)
    /// Silence that ends a flow whose both sides have sent for two seconds. 120 s (RFC 4787).
    public var answeredSilence: Duration = .seconds(120)

    /// The defaults.
    public init() {}

    /// New flows in a second from one address, so that one sender keeps no port from the others.
    var perSecondOfAddress: Int { max(1, perSecond / 2) }

    /// The two times of silence.
    package var silences: FlowSilence.Limits { FlowSilence.Limits(short: silence, long: answeredSilence) }
}
