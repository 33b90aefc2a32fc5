import NIOCore

/// The lanes of a session, and their carriers (protocol page, section 6).
///
/// The client alone opens and leaves lanes. So the two ends always agree on which of them can be resumed.
extension Session {
    /// A lane that the client has left. Once the server answers, the frames that it lacks go over another lane.
    struct RetiringLane {
        let id: LaneID
        /// Counted frames that this end has received on it.
        let received: UInt64
        var replay: ReplayBuffer
        var announcements: CircularBuffer<(count: UInt64, stream: Stream)> = []
        /// Whether control frames are among the unacknowledged ones. They precede all later control frames.
        let hasControl: Bool
    }

    /// Lanes that the client has left, for which the server remembers its answer. No session has more at a time.
    private static let remembered = 64
    /// Lower numbers of lanes that a request may overtake.
    private static let overtaken: UInt32 = 16

    // MARK: State

    /// The lanes in use, in the order of their numbers.
    public var laneIDs: [LaneID] { lanes.map(\.id) }

    /// The lanes that have a carrier, in the order of their numbers.
    public var attachedLanes: [LaneID] { lanes.filter(\.isAttached).map(\.id) }

    /// The lane to resume first when no lane has a carrier.
    public var firstLane: LaneID { lanes.first?.id ?? .first }

    /// Whether a lane is in use.
    public func hasLane(_ lane: LaneID) -> Bool { index(of: lane) != nil }

    /// Server: whether the client may open a lane with this number, because no lane has had it. Requests may overtake each
    /// other.
    public func isUnusedLane(_ lane: LaneID) -> Bool {
        nextLane.map { lane >= $0 } ?? false || skippedLanes.contains(lane)
    }

    /// Server: uses up a lane's number.
    private mutating func useUp(_ lane: LaneID) {
        guard let next = nextLane, lane >= next else {
            skippedLanes.remove(lane)
            return
        }
        let first = max(next.rawValue, lane.rawValue - min(lane.rawValue, Self.overtaken))
        for number in first..<lane.rawValue { skippedLanes.insert(LaneID(number)) }
        while skippedLanes.count > Self.overtaken, let lowest = skippedLanes.min() { skippedLanes.remove(lowest) }
        nextLane = lane.next
    }

    /// The epoch of a lane's last carrier; nil for a lane that is not in use.
    public func epoch(of lane: LaneID) -> UInt64? { index(of: lane).map { lanes[$0].epoch } }

    func index(of lane: LaneID) -> Int? {
        // Almost every session has one lane.
        lanes.first?.id == lane ? 0 : lanes.firstIndex { $0.id == lane }
    }

    /// Whether control frames wait for the server's answer about those of a lost lane.
    var isControlBlocked: Bool { retiring.contains(where: \.hasControl) }

    /// Memory of the frames that the peer has not acknowledged, bytes.
    var keptCost: Int {
        var cost = moved.cost
        for lane in lanes { cost += lane.replay.cost }
        for lane in retiring { cost += lane.replay.cost }
        return cost
    }

    /// Number of waiting control frames, including PING, PONG and ACK; used to detect floods.
    var waitingControl: Int {
        var count = scheduler.waitingControl
        for lane in lanes { count += lane.urgent.count }
        return count
    }

    // MARK: Carriers

    /// Records the loss of a lane's carrier. Frames that the peer has not acknowledged wait for the next one, or go over
    /// the other lanes. Streams pause if no other lane has a carrier.
    public mutating func detach(_ lane: LaneID = .first, now: Instant) {
        guard !isEnded, let index = index(of: lane), lanes[index].isAttached else { return }
        lanes[index].detach()
        guard lanes.contains(where: \.isAttached) else {
            detachedUntil = now + limits.grace
            return dropDatagrams()
        }
        chooseQuickLane(now: now)
        if role == .client {
            retire(at: index)
        } else if let other = quickIndex {
            lanes[other].urgent.append(LaneLoss(lane: lane, epoch: lanes[index].epoch).frame)
        }
    }

    /// Attaches a new carrier to a lane, on which both ends have reported the frames they received. What the peer misses
    /// is sent again before anything new. An old carrier that still exists counts as lost. A number that no lane has had
    /// begins a further lane.
    ///
    /// - Parameters:
    ///   - epoch: the epoch of the RESUME.
    ///   - peerReceived: counted frames of the lane that the peer has received.
    /// - Returns: false if the lane is gone. The carrier must then be closed.
    /// - Throws: ``MuxError`` if the peer's count is impossible. The session must then end.
    @discardableResult
    public mutating func attach(
        _ lane: LaneID = .first,
        epoch: UInt64 = 1,
        peerReceived: UInt64,
        now: Instant
    ) throws(MuxError) -> Bool {
        guard !isEnded else { return true }
        let isNew = index(of: lane) == nil
        guard let index = index(of: lane) ?? begin(lane, now: now) else { return false }
        if lanes[index].isAttached { lanes[index].detach() }
        try lanes[index].replay.rewind(to: peerReceived)
        lanes[index].noteAnnouncements()
        lanes[index].restart(limits: limits, now: now)
        lanes[index].epoch = epoch
        if detachedUntil != nil {
            detachedUntil = nil
            // Time without a carrier does not count.
            streams.postponeAccept(until: now + limits.openTimeout)
            streams.postponeResets(until: now + limits.resetPatience)
        }
        chooseQuickLane(new: isNew ? index : nil, now: now)
        if role == .client {
            for index in lanes.indices.reversed() where !lanes[index].isAttached { retire(at: index) }
            askForRetirement()
        }
        scheduler.unpark()
        return true
    }

    private mutating func begin(_ lane: LaneID, now: Instant) -> Int? {
        switch role {
        case .client: guard requestedLanes.remove(lane) != nil else { return nil }
        case .server: guard isUnusedLane(lane) else { return nil }
        }
        if role == .server { useUp(lane) }
        scheduler.showsOffsets = true
        var new = Lane(lane, limits: limits, seed: generator.next(), now: now)
        new.congestion.interactive = lanes.first?.congestion.interactive ?? InteractiveActivity()
        new.keepAlive.setInterval(pingInterval, now: now)
        let index = lanes.firstIndex { $0.id > lane } ?? lanes.endIndex
        lanes.insert(new, at: index)
        return index
    }

    // MARK: Client: further lanes

    /// Client: returns the number for a RESUME that opens a further lane; nil if there can be none.
    /// ``attach(_:epoch:peerReceived:now:)`` or ``abandonLane(_:)`` follows.
    public mutating func requestLane() -> LaneID? {
        guard role == .client, !isEnded, let lane = nextLane else { return nil }
        nextLane = lane.next
        requestedLanes.insert(lane)
        // The server may use the lane before the client has the answer.
        scheduler.showsOffsets = true
        return lane
    }

    /// Client: gives up a requested lane that has got no carrier, as far as this end knows. RETIRE makes the server forget
    /// it.
    public mutating func abandonLane(_ lane: LaneID) {
        guard !isEnded, requestedLanes.remove(lane) != nil else { return }
        retiring.append(RetiringLane(id: lane, received: 0, replay: ReplayBuffer(), hasControl: false))
        askForRetirement()
    }

    /// Client: leaves a lane while another one has a carrier. Ignored otherwise.
    public mutating func retire(_ lane: LaneID, now: Instant) {
        guard role == .client, !isEnded, let index = index(of: lane) else { return }
        guard lanes.contains(where: { $0.isAttached && $0.id != lane }) else { return }
        lanes[index].detach()
        chooseQuickLane(now: now)
        retire(at: index)
    }

    private mutating func retire(at index: Int) {
        let lane = lanes.remove(at: index)
        let hasControl = hasControl(lane)
        retiring.append(
            RetiringLane(
                id: lane.id,
                received: lane.acknowledger.received,
                replay: lane.replay,
                announcements: lane.announcements,
                hasControl: hasControl
            )
        )
        askForRetirement()
        takeShareOfLostLane()
        actions.append(.retired(lane.id))
    }

    /// Sends RETIRE for each lane that the server has not answered yet. An earlier RETIRE may be lost with its carrier,
    /// and a repetition is harmless.
    private mutating func askForRetirement() {
        guard let index = quickIndex else { return }
        lanes[index].urgent.removeAll { $0.header.type == .retire }
        for lane in retiring {
            lanes[index].urgent.append(Retirement(lane: lane.id, received: lane.received).frame(from: .client))
        }
    }

    // MARK: The peer's frames

    /// Server: the client has left a lane. The answer goes back over the same carrier.
    mutating func receiveRetire(_ retirement: Retirement, over index: Int, now: Instant) throws(MuxError) {
        let (lane, carrier) = (retirement.lane, lanes[index].id)
        guard role == .server, lane != carrier else {
            throw MuxError(.unexpectedFrame, "retire of lane \(lane) from a \(role.peer) over lane \(carrier)")
        }
        guard let gone = self.index(of: lane) else {
            // A repetition, or a lane that the client has requested and given up.
            try rateLimits.countAnomaly("retire of a lane that is not in use", now: now)
            if isUnusedLane(lane) { useUp(lane) }
            let received = retired.first { $0.lane == lane }?.received ?? 0
            return lanes[index].urgent.append(Retirement(lane: lane, received: received).frame(from: .server))
        }
        let answer = Retirement(lane: lane, received: lanes[gone].acknowledger.received)
        lanes[index].urgent.append(answer.frame(from: .server))
        retired.append(answer)
        if retired.count > Self.remembered { retired.removeFirst() }
        var left = lanes.remove(at: gone)
        actions.append(.retired(lane))
        chooseQuickLane(now: now)
        takeShareOfLostLane()
        move(try left.replay.retire(at: retirement.received), left.announcements, upTo: retirement.received)
    }

    /// Client: the server has left a lane too.
    mutating func receiveRetired(_ retirement: Retirement) throws(MuxError) {
        guard role == .client, nextLane.map({ retirement.lane < $0 }) ?? true, !hasLane(retirement.lane) else {
            throw MuxError(.unexpectedFrame, "retired of lane \(retirement.lane) from a \(role.peer)")
        }
        // The second answer to a repeated RETIRE says nothing new.
        guard let index = retiring.firstIndex(where: { $0.id == retirement.lane }) else { return }
        var gone = retiring.remove(at: index)
        move(try gone.replay.retire(at: retirement.received), gone.announcements, upTo: retirement.received)
    }

    /// Client: the server has lost the carrier of a lane.
    mutating func receiveLost(_ loss: LaneLoss) throws(MuxError) {
        guard role == .client else { throw MuxError(.unexpectedFrame, "lost from a client") }
        guard let index = index(of: loss.lane), lanes[index].isAttached, lanes[index].epoch == loss.epoch else {
            return
        }
        actions.append(.silent(loss.lane, MuxError(.silence, "the server has lost this carrier")))
    }

    /// Lets frames of a lost lane go over others. Frames that follow an OPEN or ACCEPT of this lane stay behind it.
    /// Control frames keep their order. CREDIT of a stream that the peer knows does not wait for them.
    private mutating func move(
        _ frames: [OutboundFrame],
        _ announcements: CircularBuffer<(count: UInt64, stream: Stream)>,
        upTo received: UInt64
    ) {
        for (count, stream) in announcements where count <= received { stream.isKnown = true }
        var ordered: [OutboundFrame] = []
        var unknown: Set<StreamID> = []
        for frame in frames {
            let id = frame.header.stream
            switch frame.header.type {
            case .open, .accept:
                unknown.insert(id)
                streams[id]?.announced = nil
                ordered.append(frame)
            case .data, .end, .reset:
                if unknown.contains(id) { ordered.append(frame.moved) } else { moved.append(frame.moved) }
            case .credit where streams[id]?.isKnown ?? true:
                if let stream = streams[id] { scheduler.enqueueCredit(frame, of: stream) }
            default:
                ordered.append(frame)
            }
        }
        scheduler.enqueueFirst(ordered)
    }

    mutating func forgetLanes() {
        for index in lanes.indices {
            lanes[index].replay = ReplayBuffer()
            lanes[index].urgent.removeAll()
        }
        retiring = []
        requestedLanes = []
        retired = []
        moved.removeAll()
    }
}
