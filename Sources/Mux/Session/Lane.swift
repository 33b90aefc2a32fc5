import NIOCore

/// One lane of a session: counted frames in order, and what this end knows of the path of its carriers.
struct Lane {
    let id: LaneID
    /// Whether a carrier transports the lane's frames.
    var isAttached = true
    var replay = ReplayBuffer()
    var congestion: CongestionWindow
    var acknowledger: Acknowledger
    var keepAlive: KeepAlive
    /// The peer's PINGs on the present carrier.
    var pings: SlidingWindow
    /// PING, PONG and ACK, which concern the carrier alone.
    var urgent = CircularBuffer<OutboundFrame>(initialCapacity: 0)
    /// The instant of the last acknowledgement, or of the last PING about a missing one; nil if nothing is
    /// unacknowledged.
    var unacknowledgedSince: Instant?
    /// The instant of the last sign of life: an acknowledgement, a PONG, or the first frame after a pause.
    var progressAt: Instant
    /// Counted frames sent when the last one of a stream was among them.
    var sentByStreams: UInt64 = 0
    /// Streams whose OPEN or ACCEPT was sent over the lane, with the lane's count of frames at that time.
    var announcements = CircularBuffer<(count: UInt64, stream: Stream)>(initialCapacity: 0)
    /// When the present carrier was attached.
    var attachedAt: Instant
    /// Bytes of counted frames that came and went over the lane.
    var moved: UInt64 = 0
    /// When a long DATA frame last came or went over the lane; nil if none did.
    var bulkAt: Instant?
    /// When to check whether the lane delivers; nil if nothing is in flight.
    var stallCheck: Instant?
    /// Whether the lane's silence was reported to the owner.
    var isReported = false
    /// The epoch of the last carrier: 0 for the first one of a session.
    var epoch: UInt64 = 0

    init(_ id: LaneID, limits: MuxLimits, seed: UInt64, now: Instant) {
        self.id = id
        congestion = CongestionWindow(ackDelay: limits.ackDelay, now: now)
        acknowledger = Acknowledger(limits: limits)
        keepAlive = KeepAlive(limits: limits, seed: seed, now: now)
        pings = SlidingWindow(limit: limits.pingsInTenSeconds)
        progressAt = now
        attachedAt = now
    }

    /// Whether frames of streams are unacknowledged.
    var hasUndelivered: Bool { replay.acknowledged < sentByStreams }

    /// Marks streams as known whose OPEN or ACCEPT was acknowledged: they may use any lane.
    ///
    /// - Returns: whether a stream was marked.
    @discardableResult
    mutating func noteAnnouncements() -> Bool {
        var areMore = false
        while let first = announcements.first, first.count <= replay.acknowledged {
            first.stream.isKnown = true
            announcements.removeFirst()
            areMore = true
        }
        return areMore
    }

    /// Resets what belongs to a carrier, since a new one begins. It may use another path.
    mutating func restart(limits: MuxLimits, now: Instant) {
        isAttached = true
        attachedAt = now
        progressAt = now
        stallCheck = nil
        isReported = false
        let interactive = congestion.interactive
        congestion = CongestionWindow(ackDelay: limits.ackDelay, now: now)
        congestion.interactive = interactive
        unacknowledgedSince = nil
        keepAlive.restart(now: now)
        // Each carrier begins with a PING, and a path may cut two carriers a second.
        pings = SlidingWindow(limit: pings.limit)
    }

    /// Drops what concerns the carrier alone, since it is lost.
    mutating func detach() {
        isAttached = false
        urgent.removeAll()
        acknowledger.forgetDue()
    }
}
