import Logging
import Mux
import NIOCore
import WebSocket

/// Joins a session to its carrier and to the sockets of its streams, all on one event loop: performs the session's
/// actions, and moves frames while the carrier has room.
///
/// Inputs from many sockets within one turn of the loop lead to few flushes of the carrier.
package final class SessionDriver: CarrierReceiver {
    package let loop: any EventLoop
    package let logger: Logger
    private var session: Session
    private var carrier: (any CarrierLink)?
    private var carrierSince = Instant.now
    /// Where another carrier is asked for.
    private var parked: DeferredFrames?
    private var promptness = FlushPolicy()
    private var delegate: SessionDelegate?
    private var pipes: [StreamID: StreamPipe] = [:]
    private var unflushed: [StreamPipe] = []
    private var isPumpScheduled = false
    private var isPerforming = false
    private var timer: (due: Instant, task: Scheduled<Void>)?
    private var probes: [EventLoopPromise<Bool>] = []
    private var peerReason: Refusal?
    private let memory: MemoryBudget
    private var account: MemoryBudget.Account?
    /// What the role's own bookkeeping takes, bytes: tunnels, and visitors that wait.
    package var fixedCost = 0 {
        didSet { if fixedCost != oldValue { settleAccount() } }
    }
    /// What the client has over all its sessions; nil at a client.
    package var share: ClientShare?
    private var sharedMemory = 0
    /// Bytes of visitors that have no stream yet.
    private var pendingBytes = 0
    private let vigil: BusyPollLoop?

    /// - Parameter pollsBusily: whether the loop looks out for events that are about to come; it is the present one then.
    package init(
        session: Session,
        carrier: any CarrierLink,
        loop: any EventLoop,
        pollsBusily: Bool,
        memory: MemoryBudget,
        logger: Logger
    ) {
        self.session = session
        self.carrier = carrier
        self.loop = loop
        self.memory = memory
        self.vigil = pollsBusily ? .of(loop) : nil
        self.logger = logger
    }

    /// Starts the session on its carrier.
    package func start(_ delegate: SessionDelegate) {
        self.delegate = delegate
        let shedding = NIOLoopBound(self, eventLoop: loop)
        account = memory.open { bytes, done in
            shedding.eventLoop.execute {
                shedding.value.shed(bytes)
                done()
            }
        }
        carrier?.admit(self)
        armTimer()
        setNeedsPump()
    }

    /// Streams that live.
    package var streamCount: Int { session.streamCount }
    /// The last measured time from a PING to its PONG.
    package var roundTrip: Duration? { session.roundTrip }
    /// Bytes that wait: for the carrier, and for sockets.
    package var waitingBytes: (toSend: Int, toDeliver: Int) { session.waitingBytes }
    /// Whether there is a carrier.
    package var hasCarrier: Bool { carrier != nil }
    /// How long the session waits for another carrier.
    package var grace: Duration { session.grace }
    /// Counted frames that have come.
    package var received: UInt64 { session.received }
    /// The time between two PINGs.
    package var pingInterval: Duration {
        get { session.pingInterval }
        set {
            session.setPingInterval(newValue, now: .now)
            armTimer()
        }
    }
    /// Whether another visitor of a tunnel may come in.
    package func room(at tunnel: UInt16) -> Session.Room { session.room(at: tunnel) }
    /// Whether the session is over.
    package var isEnded: Bool { session.isEnded }

    // MARK: For the role

    package func bind(_ request: BindRequest) {
        session.bind(request)
        setNeedsPump()
    }

    package func bound(_ binding: Binding) {
        session.bound(binding)
        setNeedsPump()
    }

    package func unbound(_ tunnel: UInt16, _ refusal: Refusal) {
        session.unbound(tunnel, refusal)
        setNeedsPump()
    }

    package func drain(_ reason: Refusal) {
        session.drain(reason)
        setNeedsPump()
    }

    /// Server: asks for another carrier within so many seconds.
    package func askForRenewal(within seconds: UInt32) {
        session.askForRenewal(within: seconds)
        setNeedsPump()
    }

    /// Asks the peer for a sign of life, whose absence ends the carrier.
    package func probe(silenceEndsCarrierAfter timeout: Duration) {
        session.probe(now: .now, timeout: timeout)
        setNeedsPump()
        armTimer()
    }

    /// Asks the peer for a sign of life; the answer is false when `timeout` passes without one.
    package func probe(timeout: TimeAmount) -> EventLoopFuture<Bool> {
        let promise = loop.makePromise(of: Bool.self)
        guard !session.isEnded, carrier != nil else {
            promise.succeed(false)
            return promise.futureResult
        }
        // Many may ask at the same time: the last answer stands for all of them.
        guard !session.hasJustAnswered(now: .now) else {
            promise.succeed(true)
            return promise.futureResult
        }
        probes.append(promise)
        session.probe(now: .now)
        setNeedsPump()
        armTimer()
        let task = loop.scheduleTask(in: timeout) { promise.succeed(false) }
        promise.futureResult.whenComplete { _ in task.cancel() }
        return promise.futureResult
    }

    /// Ends the session: streams reset, GOAWAY, Close.
    package func end(_ reason: Refusal) {
        finish(.local(reason), tell: reason, close: reason.code == .protocolViolation ? .protocolError : .goingAway)
    }

    // MARK: For the streams' sockets

    /// Opens a stream for a visitor; nil where there is no room.
    package func open(_ visit: OpenRequest, _ pipe: StreamPipe) -> StreamID? {
        guard let id = session.open(visit, now: .now) else { return nil }
        vigil?.moves(.little)
        pipes[id] = pipe
        if session.isNearExhaustion { delegate?.sessionIsUsedUp(self) }
        setNeedsPump()
        return id
    }

    /// Client: the pipe that will be joined to the service of a stream.
    package func attach(_ pipe: StreamPipe, to id: StreamID) {
        pipes[id] = pipe
    }

    package func accept(_ id: StreamID) {
        session.accept(id, now: .now)
        if promptness.joins() {
            pump()
        } else if !session.isAcknowledgementScheduled {
            // Else nobody waits for it: it goes with the service's first bytes, or with the ACK that is due within 20 ms.
            setNeedsPump()
        }
    }

    /// Takes bytes from a socket; false where it must not be read on until the pipe is told.
    ///
    /// - Parameter isReading: the bytes come from a read of the socket's channel. Then ``readCompleted()`` follows at once:
    ///   NIO fires `channelReadComplete` behind every `channelRead` of a channel that is active still, and one that is not
    ///   says ``finish(_:)`` or ``reset(_:_:)``, which lead to the carrier themselves.
    package func write(_ id: StreamID, _ bytes: ByteBuffer, isReading: Bool = false) -> Bool {
        let isLittle = bytes.readableBytes <= BusyPollPolicy.Load.mostLittle
        vigil?.moves(isLittle ? .little : .bulk)
        let mayRead = session.write(id, bytes)
        promptness.brings()
        // Not where the stream was blocked: the pump may unblock it, and the pipe would take the older answer for the newer.
        if mayRead, promptness.pumps(isAwaited: isLittle && session.isCopying) {
            setNeedsPump()
            pump()
        } else if !isReading || pipes.count > 1 {
            setNeedsPump()
        }
        return mayRead
    }

    /// A socket has brought what it had. Where its stream is the only one, nothing else could go with it at the end of
    /// the loop's turn, so that it goes now.
    package func readCompleted() {
        if promptness.hasPiece, !isPumpScheduled { pump() }
    }

    /// Keeps bytes of a visitor that has no stream yet in the session's account.
    ///
    /// - Returns: false if there is no room for them.
    package func keepPending(_ count: Int) -> Bool {
        guard pendingBytes + count <= session.queueRoom, session.pressure < .refusesStreams else { return false }
        pendingBytes += count
        settleAccount()
        return true
    }

    /// So many of these bytes are queued now, or dropped.
    package func releasePending(_ count: Int) {
        pendingBytes -= count
        settleAccount()
    }

    package func finish(_ id: StreamID) {
        vigil?.moves(.little)
        session.finish(id)
        setNeedsPump()
    }

    /// How long a socket may take for the bytes before a reset.
    package var resetPatience: TimeAmount { TimeAmount(session.resetPatience) }

    /// The stream's socket is gone. What it brought before still goes to the other end.
    package func reset(_ id: StreamID, _ code: ResetCode) {
        pipes[id] = nil
        session.reset(id, code, now: .now)
        setNeedsPump()
        delegate?.sessionHasRoom(self)
    }

    package func consumed(_ id: StreamID, _ count: Int) {
        if session.consumed(id, count, now: .now) { setNeedsPump() } else { settleAccount() }
    }

    // MARK: The carrier

    package func carrier(received frame: InboundFrame) {
        // What comes after the session's end is ignored by it.
        if parked != nil, frame.header.type.isCounted { return park(frame) }
        take(frame)
    }

    private func park(_ frame: InboundFrame) {
        parked?.append(frame)
        guard let parked, parked.areTooMany else { return }
        // Nothing is lost with it: the peer keeps all this until it is acknowledged, and the next carrier brings it.
        lose(CarrierLoss(description: "it brought more than is kept aside while another one is made"))
    }

    private func take(_ frame: InboundFrame) {
        vigil?.moves(BusyPollPolicy.Load(receiving: frame.header.type, frame.payloadLength))
        do throws(MuxError) {
            try session.receive(frame, now: .now)
        } catch {
            violate(error)
            return
        }
        performActions()
    }

    package func carrier(violatedBy error: MuxError) {
        violate(error)
    }

    package func carrierReadCompleted() {
        promptness.readEnds()
        vigil?.moves(.bulk)
        // What has come is acknowledged before sockets take it, so that the peer goes on sending meanwhile. For one socket
        // alone the ACK waits for that socket's credit, and both leave in one write, which wakes the peer once.
        if unflushed.count > 1, session.isAcknowledgementDue { pump() }
        flushPipes()
        pump()
    }

    package func carrierBecameWritable() {
        pump()
    }

    package func carrierLost(_ loss: CarrierLoss) {
        // While another carrier is asked for, a Close may mean no more than that the other has been taken.
        let isFarewell = loss.isClosedByPeer && parked == nil
        let isLast = isFarewell || session.streamCount == 0 || session.grace == .zero
        if let peerReason, isLast {
            // It had said goodbye.
            carrier = nil
            finish(.peer(peerReason), tell: peerReason, close: .goingAway)
        } else if loss.isProtocolViolation || session.grace == .zero {
            carrier = nil
            finish(.carrierLost(loss), tell: Refusal(.goingAway, ""), close: .goingAway)
        } else {
            lose(loss)
        }
    }

    /// The carrier is gone or as good as gone; streams pause.
    private func lose(_ loss: CarrierLoss, isSilence: Bool = false) {
        let now = Instant.now
        let times = carrier?.lastBytes ?? CarrierTimes()
        // A question that nobody answers was asked when the path was dead already.
        let idle = isSilence ? times.went.since(times.came) : now.since(max(times.came, times.went))
        let lost = LostCarrier(
            reason: loss.description,
            age: now.since(carrierSince),
            idle: idle,
            retryAfter: peerReason?.retryAfter
        )
        carrier?.disown()
        carrier?.abort(loss.description)
        carrier = nil
        parked = nil
        session.detach(now: now)
        answerProbes(false)
        performActions()
        flushPipes()
        armTimer()
        delegate?.session(self, lost: lost)
    }

    // MARK: The next carrier

    /// Client: the number of counted frames that have come, for a RESUME that is about to be sent. What the present
    /// carrier brings from now on is kept aside, since the new one will bring it again.
    package func parkForRenewal() -> UInt64 {
        if carrier != nil, parked == nil { parked = DeferredFrames() }
        return session.received
    }

    /// Client: there will be no new carrier for now; the present one goes on where it was.
    package func unpark() {
        guard let frames = parked?.frames else { return }
        parked = nil
        for frame in frames where !session.isEnded { take(frame) }
        carrierReadCompleted()
    }

    /// The session goes on with `new`, whose peer has received so many counted frames. The carrier before it, where it
    /// still lives, is closed.
    ///
    /// - Parameter first: the frame that must come before all others.
    package func attach(_ new: any CarrierLink, peerReceived: UInt64, first: OutboundFrame? = nil) {
        guard !session.isEnded else {
            // It came too late. Nobody would ever read it, and the peer would take the session for a living one.
            let reason = Refusal(.goingAway, "the session is over")
            new.send(session.end(reason))
            return new.close(.goingAway, reason: reason.text)
        }
        if let old = carrier {
            old.disown()
            old.close(.goingAway, reason: "another carrier has taken over")
        }
        carrier = new
        carrierSince = .now
        parked = nil
        new.admit(self)
        if let first { new.send(first) }
        do throws(MuxError) {
            try session.attach(peerReceived: peerReceived, now: .now)
        } catch {
            return violate(error)
        }
        new.flush()
        setNeedsPump()
        armTimer()
    }

    /// Client: the server does not know the session any more.
    package func forget() {
        finish(.forgotten, tell: Refusal(.goingAway, ""), close: .goingAway)
    }

    // MARK: Turning the wheel

    private func setNeedsPump() {
        guard !isPumpScheduled else { return }
        isPumpScheduled = true
        loop.assumeIsolated().execute {
            self.isPumpScheduled = false
            self.promptness.turnEnds()
            self.pump()
        }
    }

    private func pump() {
        promptness.pumped()
        settleAccount()
        guard let carrier else { return performActions() }
        let now = Instant.now
        while carrier.isWritable, let frame = session.nextFrame(now: now) {
            carrier.send(frame)
        }
        carrier.flush()
        performActions()
        // Frames that have left may have made room for a visitor.
        delegate?.sessionHasRoom(self)
        armTimer()
    }

    /// Tells the process's budget what is held, and the session how short memory is.
    private func settleAccount() {
        guard let account else { return }
        var held = session.heldBytes + pendingBytes + (parked?.storage ?? 0) + fixedCost
        if let carrier, !carrier.isWritable { held += MemoryBudget.blockedCarrierCost }
        account.holds(held)
        if let share {
            share.memory.add(held - sharedMemory, ordering: .relaxed)
            sharedMemory = held
        }
        session.pressure = account.pressure
    }

    /// The process has used up its memory, and nobody holds more of it.
    private func shed(_ bytes: Int) {
        guard !session.isEnded else { return }
        let streams = session.streamCount
        session.shed(bytes)
        performActions()
        settleAccount()
        setNeedsPump()
        logger.warning(
            "out of memory for sessions; the streams that held the most of it were reset",
            metadata: ["streams": "\(streams - session.streamCount)"]
        )
    }

    private func performActions() {
        // A socket that fails while it is written to comes back here; what it adds is done by the loop that runs.
        guard !isPerforming else { return }
        isPerforming = true
        while let action = session.nextAction() { perform(action) }
        isPerforming = false
    }

    private func perform(_ action: SessionAction) {
        switch action {
        case .deliver(let id, let bytes):
            guard let pipe = pipes[id] else { return }
            if pipe.deliver(bytes) { unflushed.append(pipe) }
            if promptness.flushes(unflushed.count) { flushPipes() }
        case .end(let id):
            guard let pipe = pipes[id] else { return }
            if pipe.endOutput() { unflushed.append(pipe) }
        case .sendable(let id):
            pipes[id]?.resumeReading()
        case .accepted:
            // Bytes may have flowed before; what is new is room for another visitor.
            delegate?.sessionHasRoom(self)
        case .closed(let id):
            pipes.removeValue(forKey: id)?.detach()
            delegate?.sessionHasRoom(self)
        case .reset(let id, let code):
            guard let pipe = pipes[id] else { return }
            // A stream whose bytes wait for the socket stays: its memory may be needed elsewhere before it is taken.
            if !session.holds(id) { pipes[id] = nil }
            pipe.reset(code)
            delegate?.sessionHasRoom(self)
        case .abort(let id, let code):
            pipes.removeValue(forKey: id)?.abort(code)
            delegate?.sessionHasRoom(self)
        case .open(let id, let visit):
            if promptness.flushes(unflushed.count, isServiceNext: true) { flushPipes() }
            delegate?.session(self, open: id, visit)
        case .bind(let request):
            delegate?.session(self, bind: request)
        case .bound(let binding):
            delegate?.session(self, bound: binding)
        case .unbound(let tunnel, let refusal):
            delegate?.session(self, unbound: tunnel, refusal)
        case .answered:
            if let time = session.roundTrip { TunnelMetrics.roundTrip.record(duration: time) }
            answerProbes(true)
        case .renew(let seconds):
            delegate?.session(self, renewWithin: seconds)
        case .goingAway(let reason):
            peerReason = reason
            delegate?.session(self, goingAway: reason)
        }
    }

    private func flushPipes() {
        while let pipe = unflushed.popLast() { pipe.flush() }
    }

    private func armTimer() {
        // Before the session has begun, and once it is over.
        guard delegate != nil else { return }
        let due = session.deadline
        if let timer, timer.due <= due { return }
        timer?.task.cancel()
        let task = loop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(due.nanoseconds)) { self.tick() }
        timer = (due, task)
    }

    private func tick() {
        timer = nil
        do throws(MuxError) {
            try session.tick(now: .now)
        } catch {
            switch error.kind {
            case .silence: return lose(CarrierLoss(description: error.detail), isSilence: true)
            case .abandoned: return finish(.abandoned(error), tell: Refusal(.goingAway, ""), close: .goingAway)
            default: return violate(error)
            }
        }
        pump()
        armTimer()
    }

    private func answerProbes(_ alive: Bool) {
        let waiting = probes
        probes = []
        for probe in waiting { probe.succeed(alive) }
    }

    // MARK: The end

    private func violate(_ error: MuxError) {
        let code: CloseCode = error.code == .protocolViolation ? .protocolError : .policyViolation
        finish(.violation(error), tell: Refusal(error.code, error.detail), close: code)
    }

    private func finish(_ end: SessionEnd, tell reason: Refusal, close code: CloseCode) {
        guard let delegate else { return }
        self.delegate = nil
        timer?.task.cancel()
        timer = nil
        let farewell = session.end(reason)
        if let carrier {
            carrier.send(farewell)
            carrier.close(code, reason: reason.code.description)
        }
        carrier = nil
        parked = nil
        performActions()
        flushPipes()
        answerProbes(false)
        account?.close()
        account = nil
        share?.memory.subtract(sharedMemory, ordering: .relaxed)
        sharedMemory = 0
        delegate.session(self, ended: end)
    }
}
