import NIOCore

/// Who may put the next frame on the carrier: control first, then the streams that have bytes and credit, in turn
/// (protocol page, section 4). Every operation is O(1) in the number of streams.
struct SendScheduler {
    private var urgent = CircularBuffer<OutboundFrame>()
    private var control = CircularBuffer<OutboundFrame>()
    private var ring = CircularBuffer<Stream>()

    /// Whether a frame waits.
    var isEmpty: Bool { urgent.isEmpty && control.isEmpty && ring.isEmpty }

    /// Frames of the session's own that wait: their number is what floods are measured by.
    var waitingControl: Int { urgent.count + control.count }

    /// Queues PING, PONG and ACK, which neither wait for room in the replay buffer nor are counted.
    mutating func enqueueUrgent(_ frame: OutboundFrame) {
        urgent.append(frame)
    }

    /// Queues a control frame; these keep their order among themselves.
    mutating func enqueue(_ frame: OutboundFrame) {
        control.append(frame)
    }

    /// Puts a stream into the ring, unless it stands there or has nothing to send.
    mutating func schedule(_ stream: Stream) {
        guard !stream.isScheduled, stream.isReady else { return }
        stream.isScheduled = true
        ring.append(stream)
    }

    /// The carrier is gone: questions and answers are about it alone.
    mutating func dropUrgent() {
        urgent.removeAll()
    }

    /// The next frame of those that are not counted.
    mutating func nextUrgent() -> OutboundFrame? { urgent.popFirst() }

    /// The next counted frame, nil where there is none. `mayCount` is false while the replay buffer is full.
    mutating func next(mayCount: Bool) -> (frame: OutboundFrame, stream: Stream?)? {
        guard mayCount else { return nil }
        if let frame = control.popFirst() { return (frame, nil) }
        while let stream = ring.popFirst() {
            stream.isScheduled = false
            let most = ring.isEmpty ? MuxLimits.maximumData : MuxLimits.sharedData
            guard let frame = stream.take(atMost: most) else { continue }
            schedule(stream)
            return (frame, stream)
        }
        return nil
    }
}
