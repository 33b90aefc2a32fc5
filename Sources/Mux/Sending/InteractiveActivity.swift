/// Which streams on a carrier are interactive: those that send short chunks, as keystrokes and requests are.
struct InteractiveActivity: Sendable {
    /// The last short chunk and its stream, and the one of another stream before it.
    private var last: (at: Instant, by: StreamID)?
    private var previous: (at: Instant, by: StreamID)?

    /// Whether a short chunk was sent within `span`: bulk streams leave room for the next one.
    func isRecent(within span: Duration, now: Instant) -> Bool {
        last.map { now.since($0.at) < span } ?? false
    }

    /// A stream sends a short chunk.
    mutating func sendsShort(_ stream: StreamID, now: Instant) {
        if last?.by != stream { previous = last }
        last = (now, stream)
    }

    /// A stream sends a long frame. If it sent the last short chunk, that was the beginning of a bulk transfer, whose first
    /// reads are small.
    mutating func sendsLong(_ stream: StreamID) {
        if last?.by == stream {
            last = previous
            previous = nil
        } else if previous?.by == stream {
            previous = nil
        }
    }
}
