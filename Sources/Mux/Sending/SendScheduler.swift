import NIOCore

/// Decides which stream puts the next frame on the carrier: control frames first, then interactive streams, then bulk
/// streams by deficit round robin (protocol page, section 4; the page SendingPolicy).
///
/// Every operation is O(1) in the number of streams.
struct SendScheduler {
    /// What may leave now.
    enum Room {
        /// Nothing that is counted: the replay buffer is full.
        case none
        /// Nothing of streams: more than enough is in flight.
        case control
        /// Short chunks alone: enough is in flight.
        case interactive
        /// Frames of at most so many bytes, while several streams wait or while one does, and so many bytes of a stream
        /// before it is the next one's turn.
        case chunks(shared: Int, alone: Int, quantum: Int)
    }

    /// The next frame. A control frame has no stream. Short: the stream had no more than ``interactiveBytes`` when it began
    /// to wait.
    typealias Turn = (frame: OutboundFrame, stream: Stream?, isShort: Bool)

    /// Bytes up to which a stream that begins to wait goes before bulk streams: a keystroke or a request is no longer.
    static let interactiveBytes = 4_096
    /// Bytes beyond the congestion window that interactive streams may use.
    static let reserve = 65_536
    /// Interactive frames in a row before a bulk stream sends one.
    static let interactiveInARow = 8
    /// The same beyond the congestion window.
    static let interactiveBeyondWindow = reserve / interactiveBytes

    private var urgent = CircularBuffer<OutboundFrame>()
    private var control = CircularBuffer<OutboundFrame>()
    private var interactive = CircularBuffer<Stream>()
    private var bulk = CircularBuffer<Stream>()
    private var inARow = 0
    /// Bytes that the first bulk stream has sent in its turn.
    private var sentInTurn = 0

    /// Whether no frame waits.
    var isEmpty: Bool { urgent.isEmpty && control.isEmpty && interactive.isEmpty && bulk.isEmpty }

    /// Frames of the session's own that wait: floods are measured by their number.
    var waitingControl: Int { urgent.count + control.count }

    /// Queues PING, PONG and ACK, which neither wait for room in the replay buffer nor are counted.
    mutating func enqueueUrgent(_ frame: OutboundFrame) {
        urgent.append(frame)
    }

    /// Queues a control frame; these keep their order among themselves.
    mutating func enqueue(_ frame: OutboundFrame) {
        control.append(frame)
    }

    /// Puts a stream into its ring, unless it stands in one or has nothing to send.
    mutating func schedule(_ stream: Stream) {
        guard !stream.isScheduled, stream.isReady else { return }
        stream.isScheduled = true
        if stream.queued <= Self.interactiveBytes { interactive.append(stream) } else { bulk.append(stream) }
    }

    /// The carrier is gone: questions and answers are about it alone.
    mutating func dropUrgent() {
        urgent.removeAll()
    }

    /// The next frame of those that are not counted.
    mutating func nextUrgent() -> OutboundFrame? { urgent.popFirst() }

    /// The next counted frame; nil if there is none, or no room for it.
    mutating func next(_ room: Room) -> Turn? {
        if case .none = room { return nil }
        if let frame = control.popFirst() { return (frame, nil, false) }
        switch room {
        case .none, .control: return nil
        case .interactive:
            // Bounded, or the bytes in flight would never fall below the window, and no bulk stream have its turn.
            return bulk.isEmpty || inARow < Self.interactiveBeyondWindow ? nextInteractive() : nil
        case .chunks(let shared, let alone, let quantum):
            if bulk.isEmpty || inARow < Self.interactiveInARow, let next = nextInteractive() { return next }
            return nextBulk(shared, alone, quantum) ?? nextInteractive()
        }
    }

    private mutating func nextInteractive() -> Turn? {
        while let stream = interactive.popFirst() {
            guard let frame = take(Self.interactiveBytes, of: stream) else { continue }
            // The rest of its bytes has its turn behind all others.
            if stream.isScheduled { bulk.append(stream) }
            inARow += 1
            return (frame, stream, true)
        }
        return nil
    }

    private mutating func nextBulk(_ shared: Int, _ alone: Int, _ quantum: Int) -> Turn? {
        inARow = 0
        while let stream = bulk.popFirst() {
            let limit = bulk.isEmpty && interactive.isEmpty ? alone : shared
            guard let frame = take(limit, of: stream) else {
                sentInTurn = 0
                continue
            }
            sentInTurn += frame.payload.readableBytes
            if stream.isScheduled, sentInTurn + limit <= quantum {
                bulk.prepend(stream)
            } else {
                sentInTurn = 0
                if stream.isScheduled { bulk.append(stream) }
            }
            return (frame, stream, false)
        }
        return nil
    }

    /// A frame of a stream that stands in no ring. If it is scheduled afterwards, the caller puts it into one again.
    private func take(_ limit: Int, of stream: Stream) -> OutboundFrame? {
        stream.isScheduled = false
        guard let frame = stream.take(atMost: limit) else { return nil }
        stream.isScheduled = stream.isReady
        return frame
    }
}
