/// Who shares a carrier with those who copy: somebody who types, or asks and waits for the answer.
struct InteractiveActivity: Sendable {
    /// When a stream with little has sent something last, and which; and another one before it.
    private var little: (at: Instant, by: StreamID)?
    private var littleBefore: (at: Instant, by: StreamID)?

    /// Whether somebody has sent a little within `span`: whoever copies makes room for the next time.
    func hasSomebodyWithLittle(within span: Duration, now: Instant) -> Bool {
        little.map { now.since($0.at) < span } ?? false
    }

    /// A stream with little sends something.
    mutating func sendsLittle(_ stream: StreamID, now: Instant) {
        if little?.by != stream { littleBefore = little }
        little = (now, stream)
    }

    /// A stream sends a long frame. If it was the last one that sent little, that was the beginning of a copy, whose first
    /// reads are small, and nobody's keystroke.
    mutating func sendsMuch(_ stream: StreamID) {
        if little?.by == stream {
            little = littleBefore
            littleBefore = nil
        } else if littleBefore?.by == stream {
            littleBefore = nil
        }
    }
}
