import NIOCore

/// One authenticated session: streams, credit, scheduling, acknowledgement and liveness, as <doc:SessionProtocol>
/// specifies.
///
/// The session is pure: frames and instants go in, actions and frames come out. The caller
/// 1. gives an input (a frame, a write, a timer) and the current instant,
/// 2. performs every ``nextAction()``,
/// 3. sends every ``nextFrame(on:now:)`` of each lane while its carrier has room,
/// 4. calls ``tick(now:)`` at ``deadline``.
///
/// Every operation is O(1) in the number of streams, except those that reset streams for want of memory.
///
/// This file holds the session's life. Extensions in other files hold the lanes and their carriers, the beginning of ports
/// and streams, the way of bytes out and in, and the removal of streams. The properties that they share are internal for
/// that reason alone.
public struct Session {
    private enum State {
        case active
        /// GOAWAY was sent: no new streams, existing ones may end.
        case draining
        /// The session is over and ignores every input.
        case ended
    }

    /// The role of this end.
    public let role: Role
    let limits: MuxLimits
    private var state = State.active
    /// When the session ends unless a carrier is attached; nil while there is one. Streams pause without a carrier.
    var detachedUntil: Instant?
    /// The lanes that are in use, in the order of their numbers.
    var lanes: [Lane]
    /// Client: lanes that this end has left and the server has not.
    var retiring: [RetiringLane] = []
    /// The lowest number that no lane has had; nil once the numbers are used up.
    var nextLane = LaneID.first.next
    /// Server: lower numbers that no lane has had.
    var skippedLanes: Set<LaneID> = []
    /// Client: lanes that were requested and are not in use yet.
    var requestedLanes: Set<LaneID> = []
    /// The lane of control frames and interactive bytes.
    public internal(set) var quickLane = LaneID.first
    /// The lane of the last control frame, and its count there.
    var control = (lane: LaneID.first, count: UInt64(0))
    /// Server: its last answers to RETIRE.
    var retired: [Retirement] = []
    /// Frames of streams that a lost lane has not delivered, and that wait for another lane.
    var moved = MovedFrames()
    var generator: SplitMix
    /// Interactive streams on which the peer sends.
    var arriving = InteractiveActivity()
    /// Bytes of long DATA frames that came and went.
    public internal(set) var bulkBytes: UInt64 = 0
    var peerIsGoingAway = false
    /// Changed from outside only by tests.
    var streams: StreamTable
    var tunnels = TunnelTable()
    /// Received bytes that no socket has accepted yet.
    var bufferedBytes = 0
    /// Bytes read from sockets that the carrier has not accepted yet.
    var queuedBytes = 0
    /// Capacity of the buffers of the queued bytes.
    var queuedStorage = 0
    /// Bytes of datagrams that wait for the carrier.
    var waitingDatagrams = 0
    /// Flows with waiting datagrams, in turn.
    var waitingFlows = CircularBuffer<Stream>()
    /// Bytes of datagrams that were sent since another frame was.
    var datagramsInARow = 0
    /// Datagrams that were dropped at this end.
    public internal(set) var datagramDrops = DatagramDrops()
    let peerWindow: UInt32
    var actions = CircularBuffer<SessionAction>()
    var scheduler = SendScheduler()
    /// Replaced only by tests.
    var readGate: ReadGate
    var rateLimits: PeerRateLimits
    var didReportExhaustion = false
    /// The room for streams that the last `.roomChanged` compared with.
    private var knownRoom = RoomState()

    /// Starts a session after a completed handshake.
    ///
    /// - Parameters:
    ///   - peerWindow: bytes that the peer accepts on a new stream, from its AUTHENTICATE or WELCOME.
    ///   - peerAccepts: streams that the peer accepts at a time, and among them those that may wait for ACCEPT, from its
    ///     AUTHENTICATE or WELCOME. This end opens no more of either than its own limits say.
    ///   - seed: random bits for the jitter and the payloads of PING.
    public init(
        role: Role,
        limits: MuxLimits = MuxLimits(),
        peerWindow: UInt32,
        peerAccepts: (streams: UInt32?, opening: UInt32?) = (nil, nil),
        seed: UInt64,
        now: Instant
    ) {
        self.role = role
        self.limits = limits
        self.peerWindow = peerWindow
        // At least one: a session without streams would be useless.
        self.streams = StreamTable(
            role: role,
            streams: max(1, min(limits.streams, Int(clamping: peerAccepts.streams ?? .max))),
            opening: max(1, min(limits.opening, Int(clamping: peerAccepts.opening ?? .max)))
        )
        self.readGate = ReadGate(limit: limits.queuedBytes / 2)
        self.lanes = [Lane(.first, limits: limits, seed: seed, now: now)]
        self.generator = SplitMix(state: ~seed)
        self.rateLimits = PeerRateLimits(limits: limits)
    }

    // MARK: State for the caller
    //
    // Properties read for each frame or iteration have mutating getters, although they change nothing. A non-mutating
    // getter first copies the whole session to the stack, which costs more than the read itself.

    /// Streams in the session, including ended ones whose sockets still have bytes to accept.
    public var streamCount: Int { streams.count }

    /// The last measured round trip, the shortest one of all lanes; nil before the first PONG.
    public var roundTrip: Duration? {
        lanes.count == 1 ? lanes[0].keepAlive.roundTrip : lanes.compactMap(\.keepAlive.roundTrip).min()
    }

    /// The room for another visitor of a tunnel.
    public enum Room: Sendable, Hashable {
        /// A stream may be opened.
        case free
        /// Not now: there is no carrier, too many streams wait for ACCEPT, or the peer does not read.
        case later
        /// The stream limit is reached, apart from places reserved for other tunnels.
        case usedUp
    }

    /// Returns whether a visitor of the tunnel may have a stream now; at a client, whether it may open one, for tunnel 0.
    public func room(at tunnel: UInt16) -> Room {
        guard isActive, isAttached, !peerIsGoingAway, streams.next != nil,
            waitingControl <= limits.waitingControl / 2
        else { return .later }
        guard streams.places.hasRoom(for: tunnel) else { return .usedUp }
        return streams.openingPlaces.hasRoom(for: tunnel) ? .free : .later
    }

    /// Returns whether the session still holds a stream, whose socket may have bytes to accept or deliver.
    public func holds(_ id: StreamID) -> Bool { streams[id] != nil }

    /// Bytes that sockets may still deliver before the queue reaches its limit.
    public var queueRoom: Int { max(0, limits.queuedBytes - queuedBytes) }

    /// Time that a RESET waits for the bytes before it.
    public var resetPatience: Duration { limits.resetPatience }

    /// Bytes read from sockets that wait for the carrier, and received bytes that wait for sockets.
    public var waitingBytes: (toSend: Int, toDeliver: Int) { (queuedBytes, bufferedBytes) }

    /// Whether bulk streams have enough ready to delay an interactive stream: one long frame that could leave as soon
    /// as the congestion window allows.
    public var isCarryingBulk: Bool { mutating get { readGate.ready >= MuxLimits.maximumData } }

    /// The process's shortage of memory. It may be set at any time, and affects later inputs only.
    public var pressure = MemoryPressure.none

    /// Memory that the session occupies, bytes: queued, received and unacknowledged bytes, with a fixed charge for each
    /// stream and frame.
    public var heldBytes: Int {
        mutating get {
            queuedStorage + bufferedBytes + waitingDatagrams + keptCost + streams.count * MuxLimits.streamCost
                + waitingControl * MuxLimits.frameCost
        }
    }

    /// Whether this end's stream numbers are about to run out. The owner then drains this session and starts another.
    public var isNearExhaustion: Bool { streams.next?.isNearEnd ?? true }

    /// The session's contents for tests. All are zero once the streams are gone and everything is acknowledged.
    var holdings: Holdings {
        Holdings(
            streams: streams.count,
            opening: streams.opening + streams.ofPeer.opening,
            lingering: streams.lingering,
            bufferedBytes: bufferedBytes,
            queuedBytes: queuedBytes,
            queuedStorage: queuedStorage,
            replayBytes: lanes.reduce(moved.cost) { $0 + $1.replay.bytes }
                + retiring.reduce(0) { $0 + $1.replay.bytes },
            waitingControl: waitingControl
        )
    }

    /// Counts of what a session holds at one instant.
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

    /// Whether new streams may begin: the session neither drains nor has ended.
    var isActive: Bool {
        if case .active = state { true } else { false }
    }

    /// Whether there are no streams, and the peer has acknowledged every frame of those there were. A session that drains ends
    /// then, and not before: what is still on its way would be lost with the process.
    public var isDelivered: Bool { streams.count == 0 && !hasUndelivered }

    private var hasUndelivered: Bool {
        lanes.contains(where: \.hasUndelivered) || !retiring.isEmpty || !moved.isEmpty
            || scheduler.handedOver > 0
    }

    /// Whether the session has ended.
    public var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// Whether the session has a carrier.
    public var isAttached: Bool { detachedUntil == nil }

    /// Whether an ACK will leave within the ACK delay, together with waiting control frames.
    public var isAcknowledgementScheduled: Bool { mutating get { lanes.first?.acknowledger.deadline != nil } }

    /// Whether an ACK is due at once because enough bytes have arrived.
    public var isAcknowledgementDue: Bool { mutating get { lanes.contains(where: \.acknowledger.isPending) } }

    /// Time that the session waits for a new carrier.
    public var grace: Duration { limits.grace }

    /// Counted frames received on a lane, as RESUME and RESUMED report them to the other end; 0 for a lane that is not in
    /// use.
    public func received(on lane: LaneID = .first) -> UInt64 {
        index(of: lane).map { lanes[$0].acknowledger.received } ?? 0
    }

    /// The latest instant at which ``tick(now:)`` must be called.
    public var deadline: Instant {
        mutating get {
            if let detachedUntil { return detachedUntil }
            var next = laneDeadline
            if let due = streams.acceptDeadline { next = min(next, due) }
            if let due = streams.resetDeadline { next = min(next, due) }
            return next
        }
    }

    /// Removes and returns the next action; nil if there is none.
    public mutating func nextAction() -> SessionAction? {
        if let action = actions.popFirst() { return action }
        let room = RoomState(
            streams: streams.count,
            opening: streams.opening,
            isOpen: isActive && isAttached && !peerIsGoingAway,
            isRead: waitingControl <= limits.waitingControl / 2,
            isDelivered: isActive && !peerIsGoingAway || !hasUndelivered
        )
        defer { knownRoom = room }
        return room.mayHaveMore(than: knownRoom) ? .roomChanged : nil
    }

    /// The conditions for opening streams, apart from the tunnels' shares.
    private struct RoomState {
        var streams = 0
        var opening = 0
        var isOpen = false
        /// Whether the peer reads what is sent to it.
        var isRead = true
        /// Whether nothing keeps a draining session from its end, apart from streams.
        var isDelivered = true

        func mayHaveMore(than before: RoomState) -> Bool {
            streams < before.streams || opening < before.opening || isOpen && !before.isOpen
                || isRead && !before.isRead || isDelivered && !before.isDelivered
        }
    }

    // MARK: Life of the session

    /// Server: asks the client for new carriers of all lanes because the present ones will not last. Each of them stays
    /// in use until then.
    ///
    /// - Parameter within: seconds over which many clients should spread their dials.
    public mutating func askForRenewal(within seconds: UInt32) {
        guard role == .server, !isEnded, let index = quickIndex else { return }
        // One RENEW is for all lanes, and the client bounds their number.
        lanes[index].urgent.append(Renewal(within: seconds).frame)
    }

    /// Sends GOAWAY: nothing new is accepted, existing streams may end.
    public mutating func drain(_ reason: Refusal) {
        guard isActive else { return }
        state = .draining
        scheduler.enqueue(reason.frame(.goAway))
    }

    /// Sends a PING now, over each lane.
    ///
    /// - Parameter timeout: time for the answer, if shorter than usual.
    public mutating func probe(now: Instant, timeout: Duration? = nil) {
        guard !isEnded else { return }
        for index in lanes.indices where lanes[index].isAttached {
            perform(lanes[index].keepAlive.probe(now: now, timeout: timeout), on: index)
        }
    }

    /// Returns whether the peer has answered a PING that was sent within the last second.
    public func hasJustAnswered(now: Instant) -> Bool {
        lanes.contains { $0.isAttached && $0.keepAlive.hasJustAnswered(now: now) }
    }

    /// The time between two PINGs.
    public var pingInterval: Duration { lanes.first?.keepAlive.interval ?? limits.pingInterval }

    /// Changes the time between two PINGs. A wait in progress may become shorter, not longer.
    public mutating func setPingInterval(_ interval: Duration, now: Instant) {
        for index in lanes.indices { lanes[index].keepAlive.setInterval(interval, now: now) }
    }

    /// Sends no PING for a while, also if one was due earlier, so that the owner can find out what the path does to an idle
    /// carrier.
    public mutating func beQuiet(for time: Duration, now: Instant) {
        for index in lanes.indices { lanes[index].keepAlive.beQuiet(for: time, now: now) }
    }

    /// Ends the session and resets every stream exactly once. A stream that has ended in order is closed instead, since
    /// its last bytes have already arrived.
    ///
    /// - Returns: the GOAWAY to send as the last frame, if the carrier still accepts one.
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
            waitingDatagrams = 0
            waitingFlows.removeAll()
            scheduler = SendScheduler()
            readGate = ReadGate(limit: limits.queuedBytes / 2)
            forgetLanes()
        }
        return reason.frame(.goAway)
    }

    // MARK: Time

    /// Performs what is due at `now`.
    ///
    /// - Throws: ``MuxError`` of kind `abandoned` if no new carrier was attached in time: the session must end.
    public mutating func tick(now: Instant) throws(MuxError) {
        guard !isEnded else { return }
        if let detachedUntil {
            guard now >= detachedUntil else { return }
            throw MuxError(.abandoned, "no new carrier within \(limits.grace)")
        }
        tickLanes(now: now)
        while let stream = streams.nextOverdue(now: now) { abort(stream, .timeout) }
        while let stream = streams.nextOverdueReset(now: now) { resetAtOnce(stream, .connectionReset) }
    }
}
