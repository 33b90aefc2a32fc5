/// How much a connection takes from its peer. What exceeds a limit ends the connection with an error.
///
/// Nothing is ever allocated for a length that a header merely declares: the limits bound what a message may come to,
/// not what is reserved for it.
public struct WebSocketLimits: Sendable, Equatable {
    /// The largest payload of one data frame, in bytes. One more is refused at the header, with 1009.
    public var maximumFrameBytes: Int
    /// The largest payload of one message over all its fragments, in bytes. One more is refused at the header of the
    /// frame that exceeds it, with 1009.
    public var maximumMessageBytes: Int
    /// The greatest number of frames that one message may come in. One more is refused at its first byte, with 1008:
    /// each frame costs work and an event, however few bytes it has.
    public var maximumFragments: Int
    /// The most bytes of control frames that may wait to be taken by `takeOutput`. A Ping whose answer would exceed it
    /// ends the connection with 1008: the peer asks and does not read. Our own Close is never held back.
    public var maximumQueuedControlBytes: Int

    /// WebSocketLimits of these values.
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

    /// 1 MiB a frame and a message, 32 fragments a message, 16 KiB of unsent control frames, which is more than a
    /// hundred of the largest pongs.
    public static let `default` = WebSocketLimits(
        maximumFrameBytes: 1 << 20,
        maximumMessageBytes: 1 << 20,
        maximumFragments: 32,
        maximumQueuedControlBytes: 16 << 10
    )

    /// No limit at all, for tests of conformance. A hostile peer can use it up.
    public static let unlimited = WebSocketLimits(
        maximumFrameBytes: .max,
        maximumMessageBytes: .max,
        maximumFragments: .max,
        maximumQueuedControlBytes: .max
    )
}
