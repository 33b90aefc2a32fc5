import NIOCore

/// Counted frames that were handed to the carrier and that the peer has not acknowledged yet
/// (protocol page, section 6). What it holds is what a new carrier would have to carry again; its bound is also
/// back-pressure.
struct ReplayBuffer: Sendable {
    private var frames = CircularBuffer<(frame: OutboundFrame, sample: PathEstimate.Sample)>()
    /// Bytes held, headers included.
    private(set) var bytes = 0
    /// Frames held.
    var count: Int { frames.count }
    /// Frames that were ever appended.
    private(set) var sent: UInt64 = 0
    /// Frames that the peer has acknowledged.
    private(set) var acknowledged: UInt64 = 0
    let capacity: Int
    /// How many of the frames have been sent again on the new carrier; nil once all have.
    private var repeated: Int?

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// Whether no further frame may be sent before the peer acknowledges some.
    var isFull: Bool { bytes + frames.count * MuxLimits.frameCost >= capacity }

    mutating func append(_ frame: OutboundFrame, _ sample: PathEstimate.Sample) {
        frames.append((frame, sample))
        bytes += frame.length
        sent += 1
    }

    /// Drops what the peer has received.
    ///
    /// - Returns: how many bytes these were, and the sample of the last; nil where the count did not advance.
    /// - Throws: ``MuxError`` for a count of frames that were never sent, or one that runs backwards.
    mutating func acknowledge(_ count: UInt64) throws(MuxError) -> (bytes: Int, last: PathEstimate.Sample)? {
        guard count >= acknowledged, count <= sent else {
            throw MuxError(.acknowledgement, "\(count) acknowledged of \(sent), after \(acknowledged)")
        }
        let before = bytes
        var last: PathEstimate.Sample?
        while acknowledged < count, let (frame, sample) = frames.popFirst() {
            bytes -= frame.length
            acknowledged += 1
            last = sample
            if let index = repeated { repeated = max(0, index - 1) }
        }
        return last.map { (before - bytes, $0) }
    }

    /// A new carrier: drops what the peer has received; the rest is to be sent again, in the old order.
    mutating func rewind(to count: UInt64) throws(MuxError) {
        _ = try acknowledge(count)
        repeated = 0
    }

    /// The next of the frames that are to be sent again, with another sample; nil where there is none left.
    mutating func nextToRepeat(_ sample: PathEstimate.Sample) -> OutboundFrame? {
        guard let index = repeated else { return nil }
        guard index < frames.count else {
            repeated = nil
            return nil
        }
        repeated = index + 1
        frames[offset: index].sample = sample
        return frames[offset: index].frame
    }
}

/// When the frames that have come are to be acknowledged (protocol page, section 6).
struct Acknowledger: Sendable {
    /// Counted frames that have come.
    private(set) var received: UInt64 = 0
    private var bytesSince = 0
    private var due: Instant?
    /// An ACK is due and waits for the carrier alone.
    private(set) var isPending = false
    private let limits: MuxLimits

    init(limits: MuxLimits) {
        self.limits = limits
    }

    /// When an ACK will be due; nil where there is nothing to say, and where one is due already and only waits for the
    /// carrier to have room.
    var deadline: Instant? { due }

    /// The time has come, whether or not the carrier has room.
    mutating func tick(now: Instant) {
        guard let due, now >= due else { return }
        self.due = nil
        isPending = true
    }

    mutating func receive(_ length: Int, now: Instant) {
        received += 1
        bytesSince += length
        if bytesSince >= limits.ackBytes {
            due = nil
            isPending = true
        } else if due == nil, !isPending {
            due = now + limits.ackDelay
        }
    }

    /// The carrier is gone: the next one's opening says what has come.
    mutating func forgetDue() {
        due = nil
        isPending = false
        bytesSince = 0
    }

    /// The count for the ACK that is due now, nil where none is.
    mutating func take(now: Instant) -> UInt64? {
        tick(now: now)
        guard isPending else { return nil }
        isPending = false
        bytesSince = 0
        return received
    }
}
