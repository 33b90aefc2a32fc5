import NIOCore

/// One authenticated session: streams, credit, scheduling, acknowledgement and liveness (the protocol page of this
/// module is its specification).
///
/// Pure: frames and times go in, actions and frames come out. The caller
/// 1. gives an input (a frame, a write, a timer) together with the time,
/// 2. performs every ``nextAction()``,
/// 3. takes every ``nextFrame(now:)`` while the carrier has room,
/// 4. calls ``tick(now:)`` at ``deadline``.
///
/// Every operation is O(1) in the number of streams, save shedding one of them when the memory budget is exceeded.
///
/// Here stand its life and its carriers; what its owner tells it, what the peer's frames do, what leaves for the carrier
/// and how streams end have files of their own, for which alone its parts are not private.
public struct Session {
    private enum State {
        case active
        /// We have sent GOAWAY: nothing new, what runs may end.
        case draining
        /// Over; every input is ignored.
        case ended
    }

    /// Whether there is something under the session that carries its frames.
    private enum Link {
        case attached
        /// The carrier is gone: streams pause, and the session ends then unless another one comes.
        case detached(until: Instant)
    }

    /// Which end this is.
    public let role: Role
    let limits: MuxLimits
    private var state = State.active
    private var link = Link.attached
    var peerIsGoingAway = false
    /// Changed by tests alone, from outside.
    var streams: StreamTable
    var tunnels = TunnelTable()
    /// Received, and not yet taken by a socket.
    var bufferedBytes = 0
    /// Read from sockets, and not yet taken by the carrier.
    var queuedBytes = 0
    /// What their buffers take.
    var queuedStorage = 0
    let peerWindow: UInt32
    var actions = CircularBuffer<SessionAction>()
    var scheduler = SendScheduler()
    /// Replaced by tests alone.
    var readGate: ReadGate
    var replay: ReplayBuffer
    /// Replaced by tests alone.
    var congestion: CongestionWindow
    var acknowledger: Acknowledger
    var keepAlive: KeepAlive
    /// Since when the peer has acknowledged nothing although there is something to acknowledge, or since it was last asked
    /// about it.
    var unacknowledgedSince: Instant?
    var conduct: PeerRateLimits
    var saidNearExhaustion = false
    /// What the caller knows of the room for streams.
    private var knownRoom = RoomState()

    /// Starts a session whose opening is done.
    ///
    /// - Parameters:
    ///   - peerWindow: what the peer lets us send on a new stream, from its AUTHENTICATE or WELCOME.
    ///   - seed: random bits for the jitter and the payloads of PING.
    public init(role: Role, limits: MuxLimits = MuxLimits(), peerWindow: UInt32, seed: UInt64, now: Instant) {
        self.role = role
        self.limits = limits
        self.peerWindow = peerWindow
        self.streams = StreamTable(role: role, limits: limits)
        self.readGate = ReadGate(limit: limits.queuedBytes / 2)
        self.replay = ReplayBuffer(capacity: limits.replayBytes)
        self.congestion = CongestionWindow(ackDelay: limits.ackDelay, now: now)
        self.acknowledger = Acknowledger(limits: limits)
        self.keepAlive = KeepAlive(limits: limits, seed: seed, now: now)
        self.conduct = PeerRateLimits(limits: limits)
    }

    // MARK: What the caller looks at
    //
    // What is asked for each frame or turn has a mutating getter, though it changes nothing: for another one the whole
    // session is copied to the stack first, which costs more than all that it says.

    /// Streams that live, and those that have ended but whose sockets still have bytes to take.
    public var streamCount: Int { streams.count }

    /// The last measured round trip through the carrier.
    public var roundTrip: Duration? { keepAlive.roundTrip }

    /// Whether a further stream may be opened by this end: visitors wait in the listen queue meanwhile.
    public var canOpen: Bool {
        guard isActive, isAttached, !peerIsGoingAway, streams.next != nil else { return false }
        return streams.count < limits.streams && streams.opening < limits.opening
            && scheduler.waitingControl <= limits.waitingControl / 2
    }

    /// Whether a visitor of a tunnel may have a stream.
    public enum Room: Sendable, Hashable {
        /// There is room.
        case free
        /// Not now: there is no carrier, or many services are being connected to, or the peer does not read.
        case later
        /// As many streams live as may, but for those that other tunnels keep in reserve.
        case usedUp
    }

    /// Whether there is room for another visitor of a tunnel.
    public func room(at tunnel: UInt16) -> Room {
        guard isActive, isAttached, !peerIsGoingAway, streams.next != nil,
            scheduler.waitingControl <= limits.waitingControl / 2
        else { return .later }
        guard streams.places.hasRoom(for: tunnel) else { return .usedUp }
        return streams.openingPlaces.hasRoom(for: tunnel) ? .free : .later
    }

    /// Whether a stream has a place here still: its socket has bytes to take, or may bring some.
    public func holds(_ id: StreamID) -> Bool { streams[id] != nil }

    /// Bytes that sockets may still bring before the queue is at its bound.
    public var queueRoom: Int { max(0, limits.queuedBytes - queuedBytes) }

    /// How long a reset waits for the bytes before it.
    public var resetPatience: Duration { limits.resetPatience }

    /// Bytes read from sockets that wait for the carrier, and bytes received that wait for sockets.
    public var waitingBytes: (toSend: Int, toDeliver: Int) { (queuedBytes, bufferedBytes) }

    /// Whether bulk streams have a long frame's worth ready, behind which interactive bytes would wait.
    public var isCarryingBulk: Bool { mutating get { readGate.ready >= MuxLimits.maximumData } }

    /// How short of memory the caller is. Set it as often as you like; it counts for what comes next.
    public var pressure = MemoryPressure.none

    /// Bytes that the session makes the process hold: what waits and what is kept for the peer's acknowledgement, with
    /// what the bookkeeping for each stream and frame costs.
    public var heldBytes: Int {
        mutating get {
            queuedStorage + bufferedBytes + replay.bytes + streams.count * MuxLimits.streamCost
                + (replay.count + scheduler.waitingControl) * MuxLimits.frameCost
        }
    }

    /// Whether this end's stream numbers are about to run out: it is time to drain this session and begin another.
    public var isNearExhaustion: Bool { streams.next?.isNearEnd ?? true }

    /// What must be empty once all streams are gone and everything is acknowledged; for tests.
    var holdings: Holdings {
        Holdings(
            streams: streams.count,
            opening: streams.opening,
            lingering: streams.lingering,
            bufferedBytes: bufferedBytes,
            queuedBytes: queuedBytes,
            queuedStorage: queuedStorage,
            replayBytes: replay.bytes,
            waitingControl: scheduler.waitingControl
        )
    }

    /// What a session holds at a moment.
    struct Holdings: Equatable {
        var streams = 0
        var opening = 0
        var lingering = 0
        var bufferedBytes = 0
        var queuedBytes = 0
        var queuedStorage = 0
        var replayBytes = 0
        var waitingControl = 0
    }

    /// Whether new streams may come: it neither drains nor is over.
    var isActive: Bool {
        if case .active = state { true } else { false }
    }

    /// Whether the session has ended.
    public var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// Whether the session has a carrier.
    public var isAttached: Bool {
        if case .attached = link { true } else { false }
    }

    /// Whether an acknowledgement will leave within a moment, and control frames with it.
    public var isAcknowledgementScheduled: Bool { mutating get { acknowledger.deadline != nil } }

    /// Whether an acknowledgement is due at once, because much has come.
    public var isAcknowledgementDue: Bool { mutating get { acknowledger.isPending } }

    /// How long it waits for a new one.
    public var grace: Duration { limits.grace }

    /// Counted frames that have come: what RESUME and RESUMED tell the other end.
    public var received: UInt64 { acknowledger.received }

    /// When ``tick(now:)`` is due at the latest.
    public var deadline: Instant {
        mutating get {
            if case .detached(let until) = link { return until }
            var next = keepAlive.deadline
            if let due = acknowledger.deadline { next = min(next, due) }
            if let due = streams.acceptDeadline { next = min(next, due) }
            if let due = streams.resetDeadline { next = min(next, due) }
            if let since = unacknowledgedSince, !keepAlive.isAsking { next = min(next, since + limits.ackPatience) }
            return next
        }
    }

    /// The next thing to do; nil once all is done.
    public mutating func nextAction() -> SessionAction? {
        if let action = actions.popFirst() { return action }
        let room = RoomState(
            streams: streams.count,
            opening: streams.opening,
            isOpen: isActive && isAttached && !peerIsGoingAway,
            isHeard: scheduler.waitingControl <= limits.waitingControl / 2
        )
        defer { knownRoom = room }
        return room.mayHaveMore(than: knownRoom) ? .roomChanged : nil
    }

    /// What decides whether streams may be opened, apart from the shares of tunnels.
    private struct RoomState {
        var streams = 0
        var opening = 0
        var isOpen = false
        /// Whether the peer reads what is sent to it.
        var isHeard = true

        func mayHaveMore(than before: RoomState) -> Bool {
            streams < before.streams || opening < before.opening || isOpen && !before.isOpen
                || isHeard && !before.isHeard
        }
    }

    // MARK: The session's life

    /// Server: asks the client for a new carrier, because this one will not last. The old one stays until then.
    ///
    /// - Parameter within: over how many seconds many clients should spread.
    public mutating func askForRenewal(within seconds: UInt32) {
        guard role == .server, !isEnded, isAttached else { return }
        scheduler.enqueueUrgent(Renewal(within: seconds).frame)
    }

    /// Tells the peer that nothing new is accepted; what runs may end.
    public mutating func drain(_ reason: Refusal) {
        guard isActive else { return }
        state = .draining
        scheduler.enqueue(reason.frame(.goAway))
    }

    /// Asks the peer for a sign of life now.
    ///
    /// - Parameter timeout: how long the answer may take, where that is less than usual.
    public mutating func probe(now: Instant, timeout: Duration? = nil) {
        guard !isEnded, isAttached else { return }
        perform(keepAlive.probe(now: now, timeout: timeout))
    }

    /// Whether the peer has answered within the last second, which counts as a sign of life.
    public func hasJustAnswered(now: Instant) -> Bool { isAttached && keepAlive.hasJustAnswered(now: now) }

    /// The time between two PINGs.
    public var pingInterval: Duration { keepAlive.interval }

    /// Changes the time between two PINGs; a wait that has begun may become shorter, not longer.
    public mutating func setPingInterval(_ interval: Duration, now: Instant) {
        keepAlive.setInterval(interval, now: now)
    }

    // MARK: Carriers

    /// The carrier is gone. Streams pause; what was handed to it and not acknowledged is kept for the next one.
    public mutating func detach(now: Instant) {
        guard !isEnded, isAttached else { return }
        link = .detached(until: now + limits.grace)
        scheduler.dropUrgent()
        acknowledger.forgetDue()
    }

    /// A new carrier is there, on which both ends have said how much they have received: what the peer misses is sent
    /// again before anything new. The one before, where there still is one, counts as gone.
    ///
    /// - Throws: ``MuxError`` where the peer's number is impossible. The session must end then.
    public mutating func attach(peerReceived: UInt64, now: Instant) throws(MuxError) {
        guard !isEnded else { return }
        detach(now: now)
        try replay.rewind(to: peerReceived)
        // Another carrier may take another path.
        congestion = CongestionWindow(ackDelay: limits.ackDelay, now: now)
        link = .attached
        unacknowledgedSince = nil
        keepAlive.restart(now: now)
        conduct.beginsAnew()
        // The pause was nobody's fault.
        streams.postponeAccept(until: now + limits.openTimeout)
        streams.postponeResets(until: now + limits.resetPatience)
    }

    /// The session is over: every stream is reset, exactly once. One that has ended in order is closed instead, since
    /// its last bytes are already here.
    ///
    /// - Returns: the GOAWAY to be sent as the last frame, where the carrier still takes one.
    public mutating func end(_ reason: Refusal, streamsReset code: ResetCode = .goingAway) -> OutboundFrame {
        if !isEnded {
            state = .ended
            for stream in streams.all {
                if stream.pendingReset == nil {
                    actions.append(stream.isFinished ? .closed(stream.id) : .reset(stream.id, code))
                }
                stream.abandon()
            }
            streams.removeAll()
            bufferedBytes = 0
            queuedBytes = 0
            queuedStorage = 0
            scheduler = SendScheduler()
            readGate = ReadGate(limit: limits.queuedBytes / 2)
            replay = ReplayBuffer(capacity: limits.replayBytes)
        }
        return reason.frame(.goAway)
    }

    // MARK: Time

    /// Does what is due.
    ///
    /// - Throws: ``MuxError`` of kind `silence` when the peer has not answered a PING in time: the carrier is dead.
    ///   Of kind `abandoned` when no new one has come in time: the session is.
    public mutating func tick(now: Instant) throws(MuxError) {
        guard !isEnded else { return }
        if case .detached(let until) = link {
            guard now >= until else { return }
            throw MuxError(.abandoned, "no new carrier within \(limits.grace)")
        }
        acknowledger.tick(now: now)
        let action = keepAlive.tick(now: now)
        if action == .dead {
            throw MuxError(.silence, "no answer to a ping within \(limits.pingTimeout)")
        }
        perform(action)
        if let since = unacknowledgedSince, !keepAlive.isAsking, now >= since + limits.ackPatience {
            unacknowledgedSince = now
            perform(keepAlive.probe(now: now))
        }
        while let stream = streams.nextOverdue(now: now) { abort(stream, .timeout) }
        while let stream = streams.nextOverdueReset(now: now) { resetAtOnce(stream, .connectionReset) }
    }

    private mutating func perform(_ action: KeepAlive.Action) {
        if case .ping(let payload) = action {
            scheduler.enqueueUrgent(OutboundFrame(.ping, number: payload))
        }
    }
}
