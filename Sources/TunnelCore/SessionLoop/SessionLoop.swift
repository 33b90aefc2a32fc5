import Logging
import Mux
import NIOCore
import WebSocket

/// One session on its event loop: between the pure ``Mux/Session``, the carrier and the sockets of the streams.
///
/// ```
///  sockets ──▶ StreamPipe ──▶ ┌───────────────────────┐ ──▶ Carrier ──▶ wire
///                             │  SessionLoop.run(_:)  │
///  wire ──▶ Carrier ────────▶ └───────────────────────┘ ──▶ StreamPipe ──▶ sockets
/// ```
///
/// ``run(_:)`` is the one pump: it alone asks the session for actions and frames, and flushes the carrier. An input that
/// arrives while it runs waits until the actions of the one before are done, so the session is never entered meanwhile.
package final class SessionLoop: CarrierReceiver {
    package let eventLoop: any EventLoop
    let logger: Logger
    var session: Session
    var carrier: (any CarrierLink)?
    var carrierSince = Instant.now
    /// Frames of a carrier that is about to be replaced.
    var deferred: DeferredFrames?
    var streams = StreamRegistry()
    var account: SessionAccount
    var probes = LivenessProbes()
    /// Why the peer accepts nothing new.
    var peerReason: Refusal?
    let busyPoll: BusyPollLoop?

    private var owner: Owner?
    private var flushPolicy = FlushPolicy()
    private var timer: (due: Instant, task: Scheduled<Void>)?
    private var phase = Phase.idle
    /// Inputs that arrived while another one was run.
    private var waiting = CircularBuffer<SessionInput>()
    private var isIterationEndScheduled = false
    /// Frames are to be sent before `run` returns.
    private var sendsNow = false
    private var roomHasChanged = false

    /// The role that owns the session.
    private enum Owner {
        case server(any ServerSessionOwner)
        case client(any ClientSessionOwner)

        var common: any SessionOwner {
            switch self {
            case .server(let owner): owner
            case .client(let owner): owner
            }
        }
    }

    private enum Phase {
        case idle
        /// Inputs are taken and frames sent.
        case running
        /// Actions of the session are performed: it must not be entered.
        case performing
    }

    /// - Parameter pollsBusily: whether the event loop, which is the present one then, polls for interactive streams.
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
        self.eventLoop = loop
        self.account = SessionAccount(memory)
        self.busyPoll = pollsBusily ? .of(loop) : nil
        self.logger = logger
    }

    /// Starts a server's session on its carrier.
    package func start(_ owner: any ServerSessionOwner) {
        start(.server(owner))
    }

    /// Starts a client's session on its carrier.
    package func start(_ owner: any ClientSessionOwner) {
        start(.client(owner))
    }

    private func start(_ owner: Owner) {
        self.owner = owner
        let shedding = NIOLoopBound(self, eventLoop: eventLoop)
        account.open { bytes, done in
            shedding.eventLoop.execute {
                shedding.value.run(.shed(bytes))
                done()
            }
        }
        carrier?.admit(self)
        armTimer()
        sendAtEndOfIteration()
    }

    // MARK: The pump

    /// Gives the session one input, performs what follows from it, and sends frames when it is time.
    package func run(_ input: SessionInput) {
        guard case .idle = phase else { return waiting.append(input) }
        phase = .running
        take(input)
        settle()
        phase = .idle
    }

    /// Until nothing is left to do: actions first, then sockets, inputs that have come meanwhile, room for streams, frames.
    private func settle() {
        while true {
            performActions()
            if let input = waiting.popFirst() {
                take(input)
            } else if roomHasChanged {
                roomHasChanged = false
                owner?.common.sessionRoomChanged(self)
            } else if sendsNow {
                sendsNow = false
                sendFrames()
            } else {
                return
            }
        }
    }

    private func performActions() {
        phase = .performing
        while let action = session.nextAction() { perform(action) }
        phase = .running
    }

    /// Hands frames to the carrier while it takes them.
    private func sendFrames() {
        flushPolicy.sent()
        settleAccount()
        if let carrier {
            let now = Instant.now
            while carrier.isWritable, let frame = session.nextFrame(now: now) { carrier.send(frame) }
            carrier.flush()
        }
        armTimer()
    }

    /// Sends frames before ``run(_:)`` returns.
    func sendFramesNow() {
        sendsNow = true
    }

    /// Sends frames once all events of this iteration of the event loop have been handled, so that they share a flush.
    private func sendAtEndOfIteration() {
        guard !isIterationEndScheduled else { return }
        isIterationEndScheduled = true
        eventLoop.assumeIsolated().execute { self.run(.iterationEnded) }
    }

    /// Counts what the session holds, and tells it how short memory is.
    private func settleAccount() {
        var held = session.heldBytes + (deferred?.storage ?? 0)
        if let carrier, !carrier.isWritable { held += MemoryBudget.blockedCarrierCost }
        session.pressure = account.settle(held)
    }

    func armTimer() {
        // Not before the session has begun, nor once it is over.
        guard owner != nil else { return }
        let due = session.deadline
        if let timer, timer.due <= due { return }
        timer?.task.cancel()
        let task = eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(due.nanoseconds)) {
            self.timer = nil
            self.run(.timer)
        }
        timer = (due, task)
    }

    // MARK: Inputs

    private func take(_ input: SessionInput) {
        switch input {
        case .frame(let frame): take(frame)
        case .carrierReadCompleted: takeReadCompleted()
        case .carrierWritable: sendsNow = true
        case .violation(let error): violate(error)
        case .carrierLost(let loss): take(loss)
        case .bytes(let id, let bytes, let isReading): take(bytes, of: id, isReading: isReading)
        case .readCompleted: sendsNow = sendsNow || flushPolicy.hasBytes && !isIterationEndScheduled
        case .finished(let id):
            busyPoll?.noteInteractive()
            session.finish(id)
            sendAtEndOfIteration()
        case .reset(let id, let code):
            streams[id] = nil
            session.reset(id, code, now: .now)
            sendAtEndOfIteration()
        case .taken(let id, let count):
            if session.consumed(id, count, now: .now) { sendAtEndOfIteration() } else { settleAccount() }
        case .accept(let id):
            session.accept(id, now: .now)
            // Otherwise ACCEPT goes with the service's first bytes, or with the ACK that is due within 20 ms.
            if !session.isAcknowledgementScheduled { sendAtEndOfIteration() }
        case .bind(let request): update { $0.bind(request) }
        case .bound(let binding): update { $0.bound(binding) }
        case .unbound(let tunnel, let refusal): update { $0.unbound(tunnel, refusal) }
        case .drain(let reason): update { $0.drain(reason) }
        case .askForRenewal(let seconds): update { $0.askForRenewal(within: seconds) }
        case .probe(let timeout): update { $0.probe(now: .now, timeout: timeout) }
        case .pingInterval(let interval): update { $0.setPingInterval(interval, now: .now) }
        case .end(let reason):
            let code: CloseCode = reason.code == .protocolViolation ? .protocolError : .goingAway
            finish(.local(reason), tell: reason, close: code)
        case .forget: finish(.forgotten, tell: Refusal(.goingAway, ""), close: .goingAway)
        case .attach(let carrier, let received, let first): attach(carrier, peerReceived: received, first: first)
        case .takeDeferred: takeDeferred()
        case .iterationEnded:
            isIterationEndScheduled = false
            flushPolicy.iterationEnded()
            sendsNow = true
        case .timer: takeTimer()
        case .shed(let bytes): shed(bytes)
        }
    }

    private func update(_ change: (inout Session) -> Void) {
        change(&session)
        sendAtEndOfIteration()
        armTimer()
    }

    func take(_ frame: InboundFrame) {
        guard deferred == nil || !frame.header.type.isCounted else { return deferFrame(frame) }
        if let busyPoll, BusyPollPolicy.isInteractive(frame.header.type, frame.payloadLength) {
            busyPoll.noteInteractive()
        }
        do throws(MuxError) {
            try session.receive(frame, now: .now)
        } catch {
            violate(error)
        }
    }

    private func takeReadCompleted() {
        flushPolicy.carrierReadCompleted()
        // Several sockets: what has come is acknowledged before they take it, so that the peer goes on sending meanwhile.
        // For one socket ACK and CREDIT leave in one write, which wakes the peer once.
        if streams.unflushedCount > 1, session.isAcknowledgementDue { sendFrames() }
        flushSockets()
        sendsNow = true
    }

    /// A socket has brought bytes. The carrier is flushed at once if they are interactive and bulk data would go before
    /// them, or if many chunks have come; at the end of the channel's read if the session has one stream; otherwise at the
    /// end of the iteration.
    private func take(_ bytes: ByteBuffer, of id: StreamID, isReading: Bool) {
        let isInteractive = bytes.readableBytes <= BusyPollPolicy.interactiveBytes
        if isInteractive { busyPoll?.noteInteractive() }
        session.write(id, bytes)
        if flushPolicy.bytesCame(isInteractive: isInteractive, besideBulk: session.isCarryingBulk) {
            sendsNow = true
            sendAtEndOfIteration()
        } else if !isReading || streams.count > 1 {
            sendAtEndOfIteration()
        }
    }

    private func takeTimer() {
        do throws(MuxError) {
            try session.tick(now: .now)
            sendsNow = true
        } catch {
            switch error.kind {
            case .silence: lose(CarrierLoss(description: error.detail), isSilence: true)
            case .abandoned: finish(.abandoned(error), tell: Refusal(.goingAway, ""), close: .goingAway)
            default: violate(error)
            }
        }
    }

    /// The process has used up its memory, and this session holds the most of it.
    private func shed(_ bytes: Int) {
        guard !session.isEnded else { return }
        let before = session.streamCount
        session.shed(bytes)
        settleAccount()
        sendAtEndOfIteration()
        logger.warning(
            "out of memory for sessions; the streams that held the most of it were reset",
            metadata: ["streams": "\(before - session.streamCount)"]
        )
    }

    // MARK: Actions

    private func perform(_ action: SessionAction) {
        switch action {
        case .deliver(let id, let bytes):
            guard let pipe = streams[id] else { return }
            if pipe.deliver(bytes) { streams.needsFlush(pipe) }
            if flushPolicy.flushesSockets(streams.unflushedCount) { flushSockets() }
        case .end(let id):
            guard let pipe = streams[id] else { return }
            if pipe.endOutput() { streams.needsFlush(pipe) }
        case .blocked(let id):
            streams[id]?.pauseReading()
        case .sendable(let id):
            streams[id]?.resumeReading()
        case .accepted:
            break
        case .closed(let id):
            streams.remove(id)?.detach()
        case .reset(let id, let code):
            guard let pipe = streams[id] else { return }
            // A stream whose bytes wait for the socket stays: its memory may be needed before the socket takes them.
            if !session.holds(id) { streams[id] = nil }
            pipe.reset(code)
        case .abort(let id, let code):
            streams.remove(id)?.abort(code)
        case .roomChanged:
            roomHasChanged = true
        case .answered:
            if let time = session.roundTrip { TunnelMetrics.roundTrip.record(duration: time) }
            probes.answer(true)
        case .goingAway(let reason):
            peerReason = reason
            owner?.common.session(self, goingAway: reason)
        case .bind, .numbersRunOut:
            guard case .server(let owner)? = owner else { return }
            perform(action, for: owner)
        case .bound, .unbound, .open, .renew:
            guard case .client(let owner)? = owner else { return }
            perform(action, for: owner)
        }
    }

    private func perform(_ action: SessionAction, for owner: any ServerSessionOwner) {
        switch action {
        case .bind(let request): owner.session(self, bind: request)
        case .numbersRunOut: owner.sessionNumbersRunOut(self)
        default: break
        }
    }

    private func perform(_ action: SessionAction, for owner: any ClientSessionOwner) {
        switch action {
        case .bound(let binding): owner.session(self, bound: binding)
        case .unbound(let tunnel, let refusal): owner.session(self, unbound: tunnel, refusal)
        case .renew(let seconds): owner.session(self, renewWithin: seconds)
        case .open(let id, let request):
            // To connect takes longer than to write to a few sockets.
            if flushPolicy.flushesSockets(streams.unflushedCount, connectsNext: true) { flushSockets() }
            owner.session(self, open: id, request)
        default: break
        }
    }

    func flushSockets() {
        while let pipe = streams.nextUnflushed() { pipe.flush() }
    }

    // MARK: For visitors

    /// Opens a stream for a visitor; nil if there is no room. Not to be called while actions are performed.
    package func open(_ request: OpenRequest, _ pipe: StreamPipe) -> StreamID? {
        if case .performing = phase { preconditionFailure("the session is entered while its actions are performed") }
        guard let id = session.open(request, now: .now) else { return nil }
        busyPoll?.noteInteractive()
        streams[id] = pipe
        sendAtEndOfIteration()
        return id
    }

    /// Client: the pipe that will be joined to the service of a stream.
    package func attach(_ pipe: StreamPipe, to id: StreamID) {
        streams[id] = pipe
    }

    /// Keeps bytes of a visitor that has no stream yet in the session's account.
    ///
    /// - Returns: false if there is no room for them.
    package func keepPending(_ count: Int) -> Bool {
        guard account.pendingBytes + count <= session.queueRoom, session.pressure < .refusesStreams else {
            return false
        }
        account.pendingBytes += count
        settleAccount()
        return true
    }

    /// So many of these bytes are queued now, or dropped.
    package func releasePending(_ count: Int) {
        account.pendingBytes -= count
        settleAccount()
    }

    /// What the role's own bookkeeping takes, bytes: tunnels, and visitors that wait.
    package var fixedCost: Int {
        get { account.fixedCost }
        set {
            guard newValue != account.fixedCost else { return }
            account.fixedCost = newValue
            settleAccount()
        }
    }

    // MARK: The end

    func violate(_ error: MuxError) {
        let code: CloseCode = error.code == .protocolViolation ? .protocolError : .policyViolation
        finish(.violation(error), tell: Refusal(error.code, error.detail), close: code)
    }

    func finish(_ end: SessionEnd, tell reason: Refusal, close code: CloseCode) {
        guard let owner else { return }
        self.owner = nil
        timer?.task.cancel()
        timer = nil
        let farewell = session.end(reason)
        if let carrier {
            carrier.send(farewell)
            carrier.close(code, reason: reason.code.description)
        }
        carrier = nil
        deferred = nil
        performActions()
        flushSockets()
        probes.answer(false)
        account.close()
        owner.common.session(self, ended: end)
    }

    /// The carrier is gone: streams pause.
    func reportLost(_ lost: LostCarrier) {
        performActions()
        flushSockets()
        armTimer()
        owner?.common.session(self, lost: lost)
    }
}
