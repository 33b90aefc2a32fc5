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
        case detached(until: Moment)
    }

    /// Which end this is.
    public let role: Role
    let limits: MuxLimits
    private var state = State.active
    private var link = Link.attached
    private var peerIsGoingAway = false
    /// Changed by tests alone, from outside.
    var streams: StreamTable
    private var tunnels = TunnelTable()
    /// Received, and not yet taken by a socket.
    private var bufferedBytes = 0
    /// Read from sockets, and not yet taken by the carrier.
    private var queuedBytes = 0
    private let peerWindow: UInt32
    private var actions = CircularBuffer<SessionAction>()
    private var scheduler = SendScheduler()
    /// Replaced by tests alone.
    var readAhead = ReadAhead()
    private var replay: ReplayBuffer
    /// Replaced by tests alone.
    var flight: FlightControl
    private var acknowledger: Acknowledger
    private var keepAlive: KeepAlive
    /// Since when the peer has acknowledged nothing although there is something to acknowledge, or since it was last asked
    /// about it.
    private var unacknowledgedSince: Moment?
    private var conduct: PeerConduct

    /// Starts a session whose opening is done.
    ///
    /// - Parameters:
    ///   - peerWindow: what the peer lets us send on a new stream, from its AUTHENTICATE or WELCOME.
    ///   - seed: random bits for the jitter and the payloads of PING.
    public init(role: Role, limits: MuxLimits = MuxLimits(), peerWindow: UInt32, seed: UInt64, now: Moment) {
        self.role = role
        self.limits = limits
        self.peerWindow = peerWindow
        self.streams = StreamTable(role: role)
        self.replay = ReplayBuffer(capacity: limits.replayBytes)
        self.flight = FlightControl(ackDelay: limits.ackDelay, now: now)
        self.acknowledger = Acknowledger(limits: limits)
        self.keepAlive = KeepAlive(limits: limits, seed: seed, now: now)
        self.conduct = PeerConduct(limits: limits)
    }

    // MARK: What the caller looks at

    /// Streams that live, and those that have ended but whose sockets still have bytes to take.
    public var streamCount: Int { streams.count }

    /// The last measured round trip through the carrier.
    public var roundTrip: Duration? { keepAlive.roundTrip }

    /// Whether a further stream may be opened by this end: visitors wait in the listen queue meanwhile.
    public var canOpen: Bool {
        guard case .active = state, isAttached, !peerIsGoingAway, streams.next != nil else { return false }
        return streams.count < limits.streams && streams.opening < limits.opening
            && scheduler.waitingControl <= limits.waitingControl / 2
    }

    /// Bytes read from sockets that wait for the carrier, and bytes received that wait for sockets.
    public var waitingBytes: (toSend: Int, toDeliver: Int) { (queuedBytes, bufferedBytes) }

    /// Whether copies have so much at hand that whoever types would wait behind it: a long frame's worth, which could
    /// leave as soon as less is under way.
    public var isCopying: Bool { readAhead.ready >= MuxLimits.maximumData }

    /// How short of memory the caller is. Set it as often as you like; it counts for what comes next.
    public var pressure = MemoryPressure.none

    /// Bytes that the session makes the process hold: what waits and what is kept for the peer's acknowledgement, with
    /// what the bookkeeping for each stream and frame costs.
    public var heldBytes: Int {
        queuedBytes + bufferedBytes + replay.bytes + streams.count * MuxLimits.streamCost
            + (replay.count + scheduler.waitingControl) * MuxLimits.frameCost
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
        var replayBytes = 0
        var waitingControl = 0
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
    public var isAcknowledgementScheduled: Bool { acknowledger.deadline != nil }

    /// Whether an acknowledgement is due at once, because much has come.
    public var isAcknowledgementDue: Bool { acknowledger.isPending }

    /// How long it waits for a new one.
    public var grace: Duration { limits.grace }

    /// Counted frames that have come: what RESUME and RESUMED tell the other end.
    public var received: UInt64 { acknowledger.received }

    /// When ``tick(now:)`` is due at the latest.
    public var deadline: Moment {
        if case .detached(let until) = link { return until }
        var next = keepAlive.deadline
        if let due = acknowledger.deadline { next = min(next, due) }
        if let due = streams.acceptDeadline { next = min(next, due) }
        if let since = unacknowledgedSince, !keepAlive.isAsking { next = min(next, since + limits.ackPatience) }
        return next
    }

    /// The next thing to do; nil once all is done.
    public mutating func nextAction() -> SessionAction? { actions.popFirst() }

    /// What may be sent, where so much is under way.
    private var room: SendScheduler.Room {
        if replay.isFull { return .none }
        if replay.bytes < flight.window {
            return .pieces(shared: flight.sharedPiece, alone: flight.piece, turn: flight.turn)
        }
        // The last piece may have gone beyond the window.
        return replay.bytes < flight.window + flight.piece + SendScheduler.reserve ? .little : .control
    }

    /// The next frame for the carrier; call it only while the carrier has room, because what was handed out counts as
    /// sent.
    public mutating func nextFrame(now: Moment) -> OutboundFrame? {
        guard !isEnded, isAttached else { return nil }
        if let count = acknowledger.take(now: now) {
            scheduler.enqueueUrgent(OutboundFrame(.ack, number: count))
        }
        if let frame = scheduler.nextUrgent() { return frame }
        if let frame = replay.nextToRepeat(flight.stamp(now: now)) {
            if unacknowledgedSince == nil { unacknowledgedSince = now }
            return frame
        }
        guard let (frame, stream, isLittle) = scheduler.next(room) else {
            if scheduler.isEmpty {
                flight.rests()
                readAhead.runsDry()
                while let next = readAhead.next(isUnbounded: true) { unblock(next) }
            } else {
                flight.holds()
            }
            return nil
        }
        if frame.header.type.isCounted {
            if replay.count == 0 { flight.begins(now: now) }
            replay.append(frame, flight.stamp(now: now))
            if let stream, frame.header.type == .data {
                if isLittle {
                    flight.company.sendsLittle(stream.id, now: now)
                } else if frame.payload.readableBytes == MuxLimits.maximumData {
                    flight.company.sendsMuch(stream.id, now: now)
                }
            }
        }
        if unacknowledgedSince == nil, replay.count > 0 { unacknowledgedSince = now }
        if let stream {
            queuedBytes -= frame.payload.readableBytes
            readAhead.leaves(frame.payload.readableBytes, of: stream)
            if frame.header.type == .end {
                streams.ended(stream)
                removeIfFinished(stream)
            } else if stream.isBlocked, stream.queued < limits.queuedPerStream {
                if stream.isOpen, flight.isNearby, stream.readAhead.bringsMuch {
                    readAhead.enqueue(stream)
                } else {
                    unblock(stream)
                }
            }
            while let next = readAhead.next(isUnbounded: !flight.isNearby) { unblock(next) }
        }
        return frame
    }

    /// A stream's socket may be read on.
    private mutating func unblock(_ stream: Stream) {
        stream.isBlocked = false
        actions.append(.sendable(stream.id))
    }

    // MARK: Local inputs

    /// Client: asks for a public port. Ignored while the tunnel has one, or waits for the answer.
    public mutating func bind(_ request: BindRequest) {
        guard !isEnded, tunnels.ask(request.tunnel) else { return }
        scheduler.enqueue(request.frame)
    }

    /// Server: the port is bound. Ignored where the client does not wait for it.
    public mutating func bound(_ binding: Binding) {
        guard !isEnded, tunnels.bind(binding.tunnel) else { return }
        scheduler.enqueue(binding.frame)
    }

    /// Server: the port could not be bound, or is given up. Ignored where the client has not asked for it.
    public mutating func unbound(_ tunnel: UInt16, _ refusal: Refusal) {
        guard !isEnded, tunnels.remove(tunnel) else { return }
        scheduler.enqueue(refusal.frame(.unbound, tunnel: tunnel))
    }

    /// Opens a stream for a visitor. Bytes may follow at once.
    ///
    /// - Returns: nil where ``canOpen`` is false.
    public mutating func open(_ visit: Visit, now: Moment) -> StreamID? {
        guard canOpen, let id = streams.next else { return nil }
        streams.open(newStream(id, now: now), acceptBy: now + limits.openTimeout)
        scheduler.enqueue(visit.frame(id))
        return id
    }

    private func newStream(_ id: StreamID, now: Moment) -> Stream {
        Stream(id: id, sendWindow: peerWindow, receiveWindow: limits.initialWindow, now: now)
    }

    /// The service has been reached.
    public mutating func accept(_ id: StreamID, now: Moment) {
        guard let stream = streams[id], stream.isOpening, id.opener == role.peer else { return }
        streams.accept(stream)
        scheduler.enqueue(OutboundFrame(.accept, id))
    }

    /// Queues bytes from the stream's socket.
    ///
    /// - Returns: whether the socket may be read on; if not, `.sendable` says when.
    public mutating func write(_ id: StreamID, _ bytes: ByteBuffer) -> Bool {
        guard let stream = streams[id], stream.isOpen else { return false }
        guard queuedBytes + bytes.readableBytes <= limits.queuedBytes else {
            abort(stream, .busy)
            return false
        }
        queuedBytes -= stream.queued
        stream.append(bytes)
        queuedBytes += stream.queued
        scheduler.schedule(stream)
        readAhead.brought(bytes.readableBytes, by: stream)
        // While much waits in all, one read of each socket is enough.
        let isShort = queuedBytes > limits.queuedBytes / 2 || pressure >= .shrinksWindows
        let most = isShort ? 1 : limits.queuedPerStream
        guard stream.queued >= most || stream.credit.available < stream.queued else { return true }
        stream.isBlocked = true
        return false
    }

    /// The stream's socket has no more bytes (FIN): END follows what is queued.
    public mutating func finish(_ id: StreamID) {
        guard let stream = streams[id] else { return }
        stream.finish()
        scheduler.schedule(stream)
        if readAhead.remove(stream) { unblock(stream) }
    }

    /// The stream's socket was reset or cannot be reached: what is queued is thrown away, so that the truncation is
    /// seen at the other end as well.
    public mutating func reset(_ id: StreamID, _ code: ResetCode) {
        guard let stream = streams[id] else { return }
        let hadEnded = stream.isFinished
        remove(stream)
        // Where both ENDs are on their way the peer has nothing left that a RESET could stop.
        if !hadEnded { scheduler.enqueue(code.frame(id)) }
    }

    /// The stream's socket has taken `count` of the delivered bytes: only now may credit go back.
    ///
    /// - Returns: whether something is to be sent or done for it.
    @discardableResult
    public mutating func consumed(_ id: StreamID, _ count: Int, now: Moment) -> Bool {
        guard let stream = streams[id] else { return false }
        let before = stream.receiving.buffered
        stream.receiving.consume(count)
        bufferedBytes -= before - stream.receiving.buffered
        guard !stream.inputEnded else {
            removeIfFinished(stream)
            return true
        }
        let isShort = bufferedBytes > limits.bufferedBytes / 2 || pressure >= .shrinksWindows
        let most = isShort ? limits.initialWindow : limits.maximumWindow
        if let offset = stream.receiving.nextGrant(now: now, roundTrip: roundTrip, most: most) {
            scheduler.enqueue(OutboundFrame(.credit, id, number: offset))
            return true
        }
        return false
    }

    /// Server: asks the client for a new carrier, because this one will not last. The old one stays until then.
    ///
    /// - Parameter within: over how many seconds many clients should spread.
    public mutating func askForRenewal(within seconds: UInt32) {
        guard role == .server, !isEnded, isAttached else { return }
        scheduler.enqueueUrgent(Renewal(within: seconds).frame)
    }

    /// Tells the peer that nothing new is accepted; what runs may end.
    public mutating func drain(_ reason: Refusal) {
        guard case .active = state else { return }
        state = .draining
        scheduler.enqueue(reason.frame(.goAway))
    }

    /// Asks the peer for a sign of life now.
    ///
    /// - Parameter timeout: how long the answer may take, where that is less than usual.
    public mutating func probe(now: Moment, timeout: Duration? = nil) {
        guard !isEnded, isAttached else { return }
        perform(keepAlive.probe(now: now, timeout: timeout))
    }

    /// The time between two PINGs.
    public var pingInterval: Duration { keepAlive.interval }

    /// Changes the time between two PINGs; a wait that has begun may become shorter, not longer.
    public mutating func setPingInterval(_ interval: Duration, now: Moment) {
        keepAlive.setInterval(interval, now: now)
    }

    // MARK: Carriers

    /// The carrier is gone. Streams pause; what was handed to it and not acknowledged is kept for the next one.
    public mutating func detach(now: Moment) {
        guard !isEnded, isAttached else { return }
        link = .detached(until: now + limits.grace)
        scheduler.dropUrgent()
        acknowledger.forgetDue()
    }

    /// A new carrier is there, on which both ends have said how much they have received: what the peer misses is sent
    /// again before anything new. The one before, where there still is one, counts as gone.
    ///
    /// - Throws: ``MuxError`` where the peer's number is impossible. The session must end then.
    public mutating func attach(peerReceived: UInt64, now: Moment) throws(MuxError) {
        guard !isEnded else { return }
        detach(now: now)
        try replay.rewind(to: peerReceived)
        // Another carrier may take another path.
        flight = FlightControl(ackDelay: limits.ackDelay, now: now)
        link = .attached
        unacknowledgedSince = nil
        keepAlive.restart(now: now)
        conduct.beginsAnew()
        // The pause was nobody's fault.
        streams.postponeAccept(until: now + limits.openTimeout)
    }

    /// The session is over: every stream is reset, exactly once. One that has ended in order is closed instead, since
    /// its last bytes are already here.
    ///
    /// - Returns: the GOAWAY to be sent as the last frame, where the carrier still takes one.
    public mutating func end(_ reason: Refusal, streamsReset code: ResetCode = .goingAway) -> OutboundFrame {
        if !isEnded {
            state = .ended
            for stream in streams.all {
                actions.append(stream.isFinished ? .closed(stream.id) : .reset(stream.id, code))
                stream.abandon()
            }
            streams.removeAll()
            bufferedBytes = 0
            queuedBytes = 0
            scheduler = SendScheduler()
            readAhead = ReadAhead()
            replay = ReplayBuffer(capacity: limits.replayBytes)
        }
        return reason.frame(.goAway)
    }

    // MARK: Time

    /// Does what is due.
    ///
    /// - Throws: ``MuxError`` of kind `silence` when the peer has not answered a PING in time: the carrier is dead.
    ///   Of kind `abandoned` when no new one has come in time: the session is.
    public mutating func tick(now: Moment) throws(MuxError) {
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
    }

    private mutating func perform(_ action: KeepAlive.Action) {
        if case .ping(let payload) = action {
            scheduler.enqueueUrgent(OutboundFrame(.ping, number: payload))
        }
    }

    // MARK: Frames from the peer

    /// Takes the peer's next frame.
    ///
    /// - Throws: ``MuxError`` where the peer broke the protocol: send ``end(_:streamsReset:)``'s frame and close.
    public mutating func receive(_ frame: InboundFrame, now: Moment) throws(MuxError) {
        guard !isEnded, isAttached else { return }
        guard scheduler.waitingControl <= limits.waitingControl else {
            throw MuxError(.flood, "\(scheduler.waitingControl) answers wait for a peer that does not read")
        }
        if frame.header.type.isCounted {
            acknowledger.receive(MuxLimits.headerLength + frame.payloadLength, now: now)
        }
        let id = frame.header.stream
        switch frame.header.type {
        case .data: try receiveData(id, frame, now: now)
        case .end: try receiveEnd(id, now: now)
        case .credit: try receiveCredit(id, frame.number, now: now)
        case .open: try receiveOpen(id, Visit(frame.payload), now: now)
        case .accept: try receiveAccept(id)
        case .reset: try receiveReset(id, ResetCode(frame.payload))
        case .bind: try receiveBind(BindRequest(frame.payload), now: now)
        case .bound: try receiveBound(Binding(frame.payload))
        case .unbound: try receiveUnbound(Refusal.tunnel(frame.payload), Refusal(frame.payload, of: .unbound))
        case .ping:
            try conduct.pings(now: now)
            scheduler.enqueueUrgent(OutboundFrame(.pong, number: frame.number))
        case .pong:
            guard keepAlive.pong(frame.number, now: now) else {
                return try conduct.glitches("a pong that answers nothing", now: now)
            }
            if let roundTrip { flight.answered(within: roundTrip, now: now) }
            actions.append(.answered)
        case .ack:
            if let (bytes, last) = try replay.acknowledge(frame.number) {
                flight.acknowledged(bytes, last, now: now)
                keepAlive.progressed(now: now)
                unacknowledgedSince = replay.count > 0 ? now : nil
            } else {
                try conduct.glitches("an acknowledgement of nothing new", now: now)
            }
        case .goAway:
            let reason = try Refusal(frame.payload, of: .goAway)
            if !peerIsGoingAway { actions.append(.goingAway(reason)) }
            peerIsGoingAway = true
        case .renew:
            guard role == .client else { throw MuxError(.unexpectedFrame, "renew from a client") }
            try conduct.asksForRenewal(now: now)
            actions.append(.renew(within: try Renewal(frame.payload).within))
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused:
            throw MuxError(.unexpectedFrame, "\(frame.header.type) frame after the opening")
        }
    }

    private mutating func receiveData(_ id: StreamID, _ frame: InboundFrame, now: Moment) throws(MuxError) {
        guard let stream = try streams.find(id, .data) else { return }
        try expectAccepted(stream, .data)
        guard !stream.inputEnded else {
            abort(stream, .protocolViolation)
            return
        }
        guard frame.payloadLength > 0 else { return try conduct.glitches("empty data", now: now) }
        try stream.receiving.receive(frame.payloadLength)
        bufferedBytes += frame.payloadLength
        keepWithinBudget()
        guard streams[id] != nil else { return }
        for piece in frame.pieces {
            actions.append(.deliver(id, piece))
        }
    }

    private mutating func receiveEnd(_ id: StreamID, now: Moment) throws(MuxError) {
        guard let stream = try streams.find(id, .end) else { return }
        try expectAccepted(stream, .end)
        guard !stream.inputEnded else { return try conduct.glitches("a second end", now: now) }
        stream.endInput()
        actions.append(.end(id))
        streams.ended(stream)
        removeIfFinished(stream)
    }

    /// Who was asked to accept a stream says so before it sends anything on it.
    private func expectAccepted(_ stream: Stream, _ type: FrameType) throws(MuxError) {
        guard !stream.isOpening || stream.id.opener != role else {
            throw MuxError(.unexpectedFrame, "\(type) frame on stream \(stream.id) before its accept")
        }
    }

    private mutating func receiveCredit(_ id: StreamID, _ offset: UInt64, now: Moment) throws(MuxError) {
        guard let stream = try streams.find(id, .credit) else { return }
        guard try stream.grant(offset) else { return try conduct.glitches("credit that grants nothing", now: now) }
        scheduler.schedule(stream)
        readAhead.update(stream)
    }

    private mutating func receiveOpen(_ id: StreamID, _ visit: Visit, now: Moment) throws(MuxError) {
        guard id.opener == role.peer, role == .client else {
            throw MuxError(.streamNumber, "open of stream \(id) from a \(role.peer)")
        }
        try streams.announce(id)
        guard case .active = state else {
            scheduler.enqueue(ResetCode.goingAway.frame(id))
            return
        }
        guard pressure < .refusesStreams else {
            // The peer cannot know, so that it has done nothing odd.
            scheduler.enqueue(ResetCode.busy.frame(id))
            return
        }
        guard streams.count - streams.lingering < limits.streams, streams.opening < limits.opening else {
            scheduler.enqueue(ResetCode.busy.frame(id))
            return try conduct.glitches("more streams than there is room for", now: now)
        }
        streams.enter(newStream(id, now: now))
        actions.append(.open(id, visit))
    }

    private mutating func receiveAccept(_ id: StreamID) throws(MuxError) {
        guard id.opener == role else { throw MuxError(.unexpectedFrame, "accept of the peer's own stream \(id)") }
        guard let stream = try streams.find(id, .accept) else { return }
        guard stream.isOpening else { throw MuxError(.unexpectedFrame, "second accept of stream \(id)") }
        streams.accept(stream)
        actions.append(.accepted(id))
    }

    private mutating func receiveReset(_ id: StreamID, _ code: ResetCode) throws(MuxError) {
        guard let stream = try streams.find(id, .reset) else { return }
        remove(stream)
        actions.append(.reset(id, code))
    }

    private mutating func receiveBind(_ request: BindRequest, now: Moment) throws(MuxError) {
        guard role == .server, !tunnels.contains(request.tunnel) else {
            throw MuxError(.unexpectedFrame, "bind of tunnel \(request.tunnel) from a \(role.peer)")
        }
        try conduct.binds(now: now)
        guard tunnels.count < limits.tunnels, tunnels.ask(request.tunnel) else {
            let refusal = Refusal(.limit, "at most \(limits.tunnels) tunnels in one session")
            scheduler.enqueue(refusal.frame(.unbound, tunnel: request.tunnel))
            return try conduct.glitches("more tunnels than allowed", now: now)
        }
        actions.append(.bind(request))
    }

    private mutating func receiveBound(_ binding: Binding) throws(MuxError) {
        guard role == .client, tunnels.bind(binding.tunnel) else {
            throw MuxError(.unexpectedFrame, "bound of tunnel \(binding.tunnel) from a \(role.peer)")
        }
        actions.append(.bound(binding))
    }

    private mutating func receiveUnbound(_ tunnel: UInt16, _ refusal: Refusal) throws(MuxError) {
        guard role == .client, tunnels.remove(tunnel) else {
            throw MuxError(.unexpectedFrame, "unbound of tunnel \(tunnel) from a \(role.peer)")
        }
        actions.append(.unbound(tunnel: tunnel, refusal))
    }

    // MARK: The table

    /// Resets a stream at both ends: its peer broke its rules, or there is no room for it.
    private mutating func abort(_ stream: Stream, _ code: ResetCode) {
        reset(stream.id, code)
        actions.append(.reset(stream.id, code))
    }

    /// Past the session's budget the stream that holds the most is reset: a reader that never reads pays for itself,
    /// and not whoever happens to come next. Looks at all streams, which is why only this rare case does.
    private mutating func keepWithinBudget() {
        while bufferedBytes > limits.bufferedBytes,
            let greediest = streams.all.max(by: { $0.receiving.buffered < $1.receiving.buffered })
        {
            abort(greediest, .busy)
        }
    }

    /// The process has used up its memory: resets the streams that hold the most, until they have given `bytes` back or
    /// what is left is small change. Looks at all streams, since only this rare case does.
    public mutating func shed(_ bytes: Int) {
        var missing = bytes
        let byGreed = streams.all.map { (stream: $0, held: $0.receiving.buffered + $0.queued) }
            .filter { $0.held > MuxLimits.streamCost }.sorted { $0.held > $1.held }
        for (stream, held) in byGreed where missing > 0 {
            abort(stream, .busy)
            missing -= held + MuxLimits.streamCost
        }
    }

    /// Forgets a stream once both ENDs are on their way and its socket has taken everything: until then its bytes count
    /// against the budget.
    private mutating func removeIfFinished(_ stream: Stream) {
        guard stream.isFinished, stream.receiving.buffered == 0, streams[stream.id] != nil else { return }
        remove(stream)
        actions.append(.closed(stream.id))
    }

    private mutating func remove(_ stream: Stream) {
        streams.remove(stream)
        bufferedBytes -= stream.receiving.buffered
        queuedBytes -= stream.queued
        stream.abandon()
        readAhead.remove(stream)
    }
}
