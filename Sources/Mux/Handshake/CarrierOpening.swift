import Seal

/// The last frame of a handshake, and the seal of everything that follows it in both directions.
public struct CarrierOpening: Sendable {
    /// WELCOME or RESUMED. It is not sealed again: its own content is.
    public let frame: OutboundFrame
    /// The carrier's keys; nil if it is not sealed.
    public let seal: OneTime<CarrierSeal>?
}
