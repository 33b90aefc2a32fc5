import NIOCore

/// Who may put the next frame on the carrier: control first, then streams with little to send, then those with much, in
/// turn (protocol page, section 4). Every operation is O(1) in the number of streams.
struct SendScheduler {
    /// What may leave now.
    enum Room {
        /// Nothing that is counted: the replay buffer is full.
        case none
        /// Nothing of streams: more than enough is under way.
        case control
        /// No more than a keystroke: enough is under way.
        case little
        /// Pieces of at most so many bytes, while several streams wait or while one does, and so many bytes of a stream
        /// before it is the next one's turn.
        case pieces(shared: Int, alone: Int, turn: Int)
    }

    /// Whose frame is next: nobody's where it is a control frame. Little: the stream had no more when it began to wait.
    typealias Turn = (frame: OutboundFrame, stream: Stream?, isLittle: Bool)

    /// A stream with at most so many bytes is let in before the others, since whoever types or asks waits for the
    /// answer; whoever copies waits for the last byte.
    static let little = 4_096
    /// What is kept free for those when enough is under way.
    static let reserve = 65_536
    /// Frames of such streams in a row, before one with more sends a frame.
    static let littleInARow = 8
    /// The same while enough is under way.
    static let littleBeyondWindow = reserve / little

    private var urgent = CircularBuffer<OutboundFrame>()
    private var control = CircularBuffer<OutboundFrame>()
    private var small = CircularBuffer<Stream>()
    private var ring = CircularBuffer<Stream>()
    private var inARow = 0
    /// Bytes that the first stream of the ring has sent in its turn.
    private var sentInTurn = 0

    /// Whether a frame waits.
    var isEmpty: Bool { urgent.isEmpty && control.isEmpty && small.isEmpty && ring.isEmpty }

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

    /// Puts a stream into its ring, unless it stands in one or has nothing to send.
    mutating func schedule(_ stream: Stream) {
        guard !stream.isScheduled, stream.isReady else { return }
        stream.isScheduled = true
        if stream.queued <= Self.little { small.append(stream) } else { ring.append(stream) }
    }

    /// The carrier is gone: questions and answers are about it alone.
    mutating func dropUrgent() {
        urgent.removeAll()
    }

    /// The next frame of those that are not counted.
    mutating func nextUrgent() -> OutboundFrame? { urgent.popFirst() }

    /// The next counted frame, nil where there is none, or no room for it.
    mutating func next(_ room: Room) -> Turn? {
        if case .none = room { return nil }
        if let frame = control.popFirst() { return (frame, nil, false) }
        switch room {
        case .none, .control: return nil
        case .little:
            // Not for ever, or what is under way would never fall below the window, and no copy have its turn.
            return ring.isEmpty || inARow < Self.littleBeyondWindow ? nextLittle() : nil
        case .pieces(let shared, let alone, let turn):
            if ring.isEmpty || inARow < Self.littleInARow, let next = nextLittle() { return next }
            return nextPiece(shared, alone, turn) ?? nextLittle()
        }
    }

    private mutating func nextLittle() -> Turn? {
        while let stream = small.popFirst() {
            guard let frame = take(Self.little, of: stream) else { continue }
            // What is left of its bytes has its turn behind all others.
            if stream.isScheduled { ring.append(stream) }
            inARow += 1
            return (frame, stream, true)
        }
        return nil
    }

    private mutating func nextPiece(_ shared: Int, _ alone: Int, _ turn: Int) -> Turn? {
        inARow = 0
        while let stream = ring.popFirst() {
            let most = ring.isEmpty && small.isEmpty ? alone : shared
            guard let frame = take(most, of: stream) else {
                sentInTurn = 0
                continue
            }
            sentInTurn += frame.payload.readableBytes
            if stream.isScheduled, sentInTurn + most <= turn {
                ring.prepend(stream)
            } else {
                sentInTurn = 0
                if stream.isScheduled { ring.append(stream) }
            }
            return (frame, stream, false)
        }
        return nil
    }

    /// A frame of a stream that stands in no ring; it is to be put into one again where it is scheduled afterwards.
    private func take(_ most: Int, of stream: Stream) -> OutboundFrame? {
        stream.isScheduled = false
        guard let frame = stream.take(atMost: most) else { return nil }
        stream.isScheduled = stream.isReady
        return frame
    }
}
