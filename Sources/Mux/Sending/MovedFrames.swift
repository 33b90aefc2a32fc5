import NIOCore

/// Frames of streams that a lost lane has not delivered, and that leave on another one.
///
/// They were counted against their streams' credit when they were first handed out. DATA, END and RESET carry offsets, and
/// the peer knows their streams, so any lane may take them.
struct MovedFrames {
    /// Short frames, which go where interactive bytes go.
    private var short = CircularBuffer<OutboundFrame>(initialCapacity: 0)
    private var long = CircularBuffer<OutboundFrame>(initialCapacity: 0)
    /// Memory that they take, bytes.
    private(set) var cost = 0

    /// Whether no frame waits.
    var isEmpty: Bool { short.isEmpty && long.isEmpty }

    /// Adds a frame. The frames of a lane are added in their old order.
    mutating func append(_ frame: OutboundFrame) {
        cost += frame.length + MuxLimits.frameCost
        if frame.payload.readableBytes <= SendScheduler.interactiveBytes {
            short.append(frame)
        } else {
            long.append(frame)
        }
    }

    /// Removes and returns the next short frame.
    mutating func nextShort() -> OutboundFrame? { take(short.popFirst()) }

    /// Removes and returns the next long frame.
    mutating func nextLong() -> OutboundFrame? { take(long.popFirst()) }

    /// Drops all frames.
    mutating func removeAll() {
        self = MovedFrames()
    }

    private mutating func take(_ frame: OutboundFrame?) -> OutboundFrame? {
        if let frame { cost -= frame.length + MuxLimits.frameCost }
        return frame
    }
}
