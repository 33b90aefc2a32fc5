/// Limits on what a connection accepts from its peer. Exceeding one ends the connection with an error.
///
/// Memory is allocated for bytes received, never for a length that a header declares.
public struct WebSocketLimits: Sendable, Equatable {
    /// Largest payload of one data frame, bytes. One byte more is refused at the header, with 1009.
    public var maximumFrameBytes: Int
    /// Largest payload of one message over all fragments, bytes. One byte more is refused at the header of the frame
    /// that exceeds it, with 1009.
    public var maximumMessageBytes: Int
    /// Most frames of one message. One more is refused at its first byte, with 1008. Each frame costs work and an
    /// event, even if it is empty.
    public var maximumFragments: Int
    /// Most bytes of control frames that may wait for `takeOutput`. A Ping whose answer would exceed it ends the
    /// connection with 1008, since the peer does not read. This end's Close is exempt.
    public var maximumQueuedControlBytes: Int

    /// Creates limits.
    public init(
        maximumFrameBytes: Int = WebSocketLimits.default.maximumFrameBytes,
        maximumMessageBytes: Int = WebSocketLimits.default.maximumMessageBytes,
        maximumFragments: Int = WebSocketLimits.default.maximumFragments,
        maximumQueuedControlBytes: Int = WebSocketLimits.default.maximumQueuedControlBytes
    ) {
        self.maximumFrameBytes = maximumFrameBytes
        self.maximumMessageBytes = maximumMessageBytes
        self.maximumFragments = maximumFragments
        self.maximumQueuedControlBytes = maximumQueuedControlBytes
    }

    /// 1 MiB per frame and message, 32 fragments per message, and 16 KiB of unsent control frames: over a hundred of
    /// the largest pongs.
    public static let `default` = WebSocketLimits(
        maximumFrameBytes: 1 << 20,
        maximumMessageBytes: 1 << 20,
        maximumFragments: 32,
        maximumQueuedControlBytes: 16 << 10
    )

    /// No limits, for conformance tests. A hostile peer can exhaust the memory.
    public static let unlimited = WebSocketLimits(
        maximumFrameBytes: .max,
        maximumMessageBytes: .max,
        maximumFragments: .max,
        maximumQueuedControlBytes: .max
    )
}
