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

    /// The frames that a lane may carry: all of them in a session with one lane.
    struct Place {
        /// Whether control frames may go over the lane: all counted ones except DATA, END and a RESET that follows its
        /// stream's DATA. CREDIT of streams that the peer knows has its own queue once there are several lanes.
        var hasControl = true
        /// Whether CREDIT of that queue may go over the lane.
        var hasCredit = true
        /// Whether short chunks may go over the lane.
        var hasInteractive = true
        /// Whether frames of bulk streams may go over the lane.
        var hasBulk = true
        /// Whether a stream's frames may go over this lane now; nil if all may. They may once the peer has the frame that
        /// announces the stream, or behind it on the same lane.
        var isFree: ((Stream) -> Bool)?
    }

    private var control = CircularBuffer<OutboundFrame>()
    /// CREDIT that waits for no control frame on another lane.
    private var credits = CircularBuffer<OutboundFrame>(initialCapacity: 0)
    private var interactive = CircularBuffer<Stream>()
    private var bulk = CircularBuffer<Stream>()
    /// Streams that the peer may not know yet, since the frame that announces them waits for a lane.
    private var parked: [Stream] = []
    private var inARow = 0
    /// Whether the session has had several lanes: DATA then carries its offset, and CREDIT needs no order.
    var showsOffsets = false
    /// Bytes that the first bulk stream has sent in its turn.
    private var sentInTurn = 0

    /// Control frames of lost lanes that wait, before all others.
    private(set) var handedOver = 0

    /// Whether no frame waits.
    var isEmpty: Bool {
        control.isEmpty && credits.isEmpty && interactive.isEmpty && bulk.isEmpty && parked.isEmpty
    }

    /// Whether a control frame or CREDIT waits for a lane of this kind.
    func hasControl(for place: Place) -> Bool {
        place.hasControl && !control.isEmpty || place.hasCredit && !credits.isEmpty
    }

    /// Whether a frame waits for a lane of this kind.
    func waits(for place: Place) -> Bool {
        hasControl(for: place) || place.hasInteractive && !interactive.isEmpty || place.hasBulk && !bulk.isEmpty
    }

    /// Whether a short chunk waits.
    var hasInteractive: Bool { !interactive.isEmpty }

    /// Control frames that wait. Their number measures floods.
    var waitingControl: Int { control.count + credits.count }

    /// Queues a control frame; these keep their order among themselves.
    mutating func enqueue(_ frame: OutboundFrame) {
        control.append(frame)
    }

    /// Queues CREDIT. It keeps its order with the control frames while the session has one lane, and until the peer knows
    /// the stream.
    mutating func enqueueCredit(_ frame: OutboundFrame, of stream: Stream) {
        if showsOffsets, stream.isKnown { credits.append(frame) } else { control.append(frame) }
    }

    /// Puts a stream into its ring, unless it stands in one or has nothing to send.
    mutating func schedule(_ stream: Stream) {
        guard !stream.isScheduled, stream.isReady else { return }
        stream.isScheduled = true
        if stream.queued <= Self.interactiveBytes { interactive.append(stream) } else { bulk.append(stream) }
    }

    /// Puts control frames of a lost lane before all others, in their old order.
    mutating func enqueueFirst(_ frames: [OutboundFrame]) {
        for frame in frames.reversed() { control.prepend(frame) }
        handedOver += frames.count
        unpark()
    }

    /// Schedules parked streams again, since the peer may know more of them than before.
    mutating func unpark() {
        guard !parked.isEmpty else { return }
        let streams = parked
        parked = []
        for stream in streams {
            stream.isScheduled = false
            schedule(stream)
        }
    }

    /// The next counted frame; nil if there is none for this lane, or no room for it.
    mutating func next(_ room: Room, _ place: Place = Place()) -> Turn? {
        if case .none = room { return nil }
        if place.hasControl, let frame = control.popFirst() {
            handedOver = max(0, handedOver - 1)
            return (frame, nil, false)
        }
        if place.hasCredit, let frame = credits.popFirst() { return (frame, nil, false) }
        switch room {
        case .none, .control: return nil
        case .interactive:
            guard place.hasInteractive else { return nil }
            // Bounded, or the bytes in flight would never fall below the window, and no bulk stream have its turn.
            let mayFollow = !place.hasBulk || bulk.isEmpty || inARow < Self.interactiveBeyondWindow
            return mayFollow ? nextInteractive(place) : nil
        case .chunks(let shared, let alone, let quantum):
            if place.hasInteractive, !place.hasBulk || bulk.isEmpty || inARow < Self.interactiveInARow,
                let next = nextInteractive(place)
            {
                return next
            }
            if place.hasBulk, let next = nextBulk(shared, alone, quantum, place) { return next }
            return place.hasInteractive ? nextInteractive(place) : nil
        }
    }

    private mutating func nextInteractive(_ place: Place) -> Turn? {
        while let stream = interactive.popFirst() {
            if let isFree = place.isFree, !isFree(stream) {
                parked.append(stream)
                continue
            }
            guard let frame = take(Self.interactiveBytes, of: stream) else { continue }
            // The rest of its bytes has its turn behind all others.
            if stream.isScheduled {
                // They follow the frame that announces the stream on this lane, until the peer knows it.
                if place.isFree != nil, !stream.isKnown { interactive.append(stream) } else { bulk.append(stream) }
            }
            inARow += 1
            return (frame, stream, true)
        }
        return nil
    }

    private mutating func nextBulk(_ shared: Int, _ alone: Int, _ quantum: Int, _ place: Place) -> Turn? {
        inARow = 0
        while let stream = bulk.popFirst() {
            if let isFree = place.isFree, !isFree(stream) {
                sentInTurn = 0
                // Until the peer knows the stream, its bytes follow the frame that announces it.
                if place.hasInteractive { parked.append(stream) } else { interactive.append(stream) }
                continue
            }
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
        guard let frame = stream.take(atMost: limit, showsOffset: showsOffsets) else { return nil }
        stream.isScheduled = stream.isReady
        return frame
    }
}
