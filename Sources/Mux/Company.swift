/// Who shares a carrier: somebody who types, or asks and waits for the answer, and whether several copy.
struct Company: Sendable {
    /// How long somebody counts who has sent something.
    private static let memory = Duration.seconds(1)

    /// When a stream with little has sent something last, and which; and another one before it.
    private var little: (at: Moment, by: StreamID)?
    private var littleBefore: (at: Moment, by: StreamID)?
    /// Which stream has sent a long frame last, and when another one than before did.
    private var much: StreamID?
    private var severalAt: Moment?

    /// Whether somebody is there with little to send: whoever copies makes room for the next time.
    func hasSomebodyWithLittle(now: Moment) -> Bool { isRecent(little?.at, now) }

    /// Whether several copy.
    func hasSeveralCopies(now: Moment) -> Bool { isRecent(severalAt, now) }

    private func isRecent(_ moment: Moment?, _ now: Moment) -> Bool {
        moment.map { now.since($0) < Self.memory } ?? false
    }

    /// A stream with little sends something.
    mutating func sendsLittle(_ stream: StreamID, now: Moment) {
        if little?.by != stream { littleBefore = little }
        little = (now, stream)
    }

    /// A stream sends a long frame. If it was the last one that sent little, that was the beginning of a copy, whose first
    /// reads are small, and nobody's keystroke.
    mutating func sendsMuch(_ stream: StreamID, now: Moment) {
        if let much, much != stream { severalAt = now }
        much = stream
        if little?.by == stream {
            little = littleBefore
            littleBefore = nil
        } else if littleBefore?.by == stream {
            littleBefore = nil
        }
    }
}
