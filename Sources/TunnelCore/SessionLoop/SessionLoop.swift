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
/// ``run(_:)`` is the one pump: it alone asks the session for actions and frames. An input that arrives while it runs waits
/// until the actions of the one before are done, so the session is never entered meanwhile.
///
/// This file holds the way of bytes. Extensions in other files hold the carriers, the role, time, memory and the end. The
/// properties that they share are internal for that reason alone.
package final class SessionLoop {
    package let eventLoop: any EventLoop
    let logger: Logger
    let metrics: TunnelMetrics
    var session: Session
    /// The carriers of the lanes, in the order of the lanes' numbers.
    var carriers: [LaneCarrier] = []
    var streams = StreamRegistry()
    /// The sockets of flows.
    var flows = FlowRegistry()
    /// The session's dropped datagrams that are counted in the metrics.
    var countedDrops = DatagramDrops()
    var account: SessionAccount
    var probes = LivenessProbes()
    /// Why the peer accepts nothing new.
    var peerReason: Refusal?
    let busyPoll: BusyPollLoop?
    var owner: Owner?
    /// Whether frames of a carrier are deferred.
    var isDeferring = false
    /// Notices that something alters what the carriers bring.
    var alterations = AlterationWatch()
    var timer: (due: Instant, task: Scheduled<Void>)?
    /// The account is settled once the actions are performed.
    var accountHasChanged = false
    private(set) var phase = Phase.idle
    private var flushPolicy = FlushPolicy()
    /// Inputs that arrived while another one was run.
    private var waiting = CircularBuffer<SessionInput>()
    private var isIterationEndScheduled = false
    /// Frames are to be sent before `run` returns.
    private var sendsNow = false
    private var roomHasChanged = false

    enum Phase {
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
        metrics: TunnelMetrics = TunnelMetrics(),
        logger: Logger
    ) {
        self.metrics = metrics
        self.session = session
        self.eventLoop = loop
        self.account = SessionAccount(memory)
        self.busyPoll = pollsBusily ? .of(loop) : nil
        self.logger = logger
        carriers = [LaneCarrier(session.firstLane, carrier, of: self)]
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

    /// Until nothing is left to do: actions first, then inputs that have come meanwhile, room for streams, frames.
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

    func performActions() {
        phase = .performing
        while let action = session.nextAction() { perform(action) }
        phase = .running
        if accountHasChanged { settleAccount() }
    }

    // MARK: Inputs

    private func take(_ input: SessionInput) {
        switch input {
        case .frame(let frame, let lane): take(frame, of: lane)
        case .carrierReadCompleted: takeReadCompleted()
        case .carrierWritable: sendsNow = true
        case .violation(let error): violate(error)
        case .carrierLost(let loss, let lane): take(loss, of: lane)
        case .silence(let error, let lane): lose(CarrierLoss(description: error.detail), of: lane, isSilence: true)
        case .bytes(let id, let bytes, let isReading): take(bytes, of: id, isReading: isReading)
        case .datagram(let id, let bytes):
            busyPoll?.noteInteractive()
            session.send(id, bytes, now: .now)
            countDrops()
            if flushPolicy.bytesCame(isInteractive: true, besideBulk: session.isCarryingBulk) { sendsNow = true }
            sendAtEndOfIteration()
        case .readCompleted: sendsNow = sendsNow || flushPolicy.hasBytes && !isIterationEndScheduled
        case .finished(let id):
            busyPoll?.noteInteractive()
            session.finish(id)
            sendAtEndOfIteration()
        case .reset(let id, let code):
            streams[id] = nil
            _ = flows.remove(id)
            session.reset(id, code, now: .now)
            sendAtEndOfIteration()
        case .taken(let id, let count):
            if session.consumed(id, count, now: .now) { sendAtEndOfIteration() } else { settleAccount() }
        case .accept(let id):
            session.accept(id, now: .now)
            // Otherwise ACCEPT goes with the service's first bytes, or with the ACK that is due within 20 ms.
            if !session.isAcknowledgementScheduled { sendAtEndOfIteration() }
        case .bind(let request): update { $0.bind(request) }
        case .unbind(let tunnel): update { $0.unbind(tunnel) }
        case .state(let state): update { $0.report(state) }
        case .bound(let binding): update { $0.bound(binding) }
        case .unbound(let tunnel, let refusal): update { $0.unbound(tunnel, refusal) }
        case .drain(let reason): update { $0.drain(reason) }
        case .askForRenewal(let seconds): update { $0.askForRenewal(within: seconds) }
        case .probe(let timeout): update { $0.probe(now: .now, timeout: timeout) }
        case .pingInterval(let interval): update { $0.setPingInterval(interval, now: .now) }
        case .quiet(let time): update { $0.beQuiet(for: time, now: .now) }
        case .end(let reason): end(reason)
        case .forget: finish(.forgotten, tell: Refusal(.goingAway, ""), close: .goingAway)
        case .attach(let carrier, let lane, let epoch, let received, let first):
            attach(carrier, to: lane, epoch: epoch, peerReceived: received, first: first)
        case .takeDeferred(let lane): takeDeferred(of: lane)
        case .abandonLane(let lane): update { $0.abandonLane(lane) }
        case .retireLane(let lane): update { $0.retire(lane, now: .now) }
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

    private func take(_ frame: InboundFrame, of lane: LaneID) {
        if isDeferring, frame.header.type.isCounted, let carrier = carrier(of: lane), carrier.deferred != nil {
            return deferFrame(frame, of: carrier)
        }
        if let busyPoll, BusyPollPolicy.isInteractive(frame.header.type, frame.payloadLength) {
            busyPoll.noteInteractive()
        }
        do throws(MuxError) {
            try session.receive(frame, on: lane, now: .now)
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

    // MARK: Actions

    private func perform(_ action: SessionAction) {
        switch action {
        case .deliver(let id, let bytes):
            guard let pipe = streams[id] else { return }
            if pipe.deliver(bytes) { streams.needsFlush(pipe) }
            if flushPolicy.flushesSockets(streams.unflushedCount) { flushSockets() }
        case .datagram(let id, let bytes):
            guard let flow = flows[id] else { return }
            flow.deliver(bytes)
            flows.needsFlush(flow)
        case .end(let id):
            guard let pipe = streams[id] else { return }
            if pipe.endOutput() { streams.needsFlush(pipe) }
        case .blocked(let id):
            streams[id]?.pauseReading()
        case .sendable(let id):
            streams[id]?.resumeReading()
        case .accepted(let id):
            streams[id]?.accepted()
        case .closed(let id):
            streams.remove(id)?.detach()
        case .reset(let id, let code):
            guard let pipe = streams[id] else {
                flows.remove(id)?.ended(code)
                return
            }
            // A stream whose bytes wait for the socket stays: its memory may be needed before the socket takes them.
            guard !session.holds(id) else { return pipe.reset(code) }
            streams[id] = nil
            // Nothing counts the bytes of a pipe without a socket any more.
            if pipe.isConnecting { pipe.abort(code) } else { pipe.reset(code) }
        case .abort(let id, let code):
            flows.remove(id)?.ended(code)
            streams.remove(id)?.abort(code)
        case .roomChanged:
            roomHasChanged = true
        case .answered:
            if let time = session.roundTrip { metrics.roundTrip.record(duration: time) }
            probes.answer(true)
        case .silent(let lane, let error):
            run(.silence(error, lane))
        case .retired(let lane):
            closeCarrier(of: lane)
        case .open(let id, let request):
            // To connect to the service takes longer than to write to a few sockets.
            if flushPolicy.flushesSockets(streams.unflushedCount, connectsNext: true) { flushSockets() }
            report(.open(id, request))
        case .bind, .unbind, .state, .numbersRunOut, .bound, .unbound, .renew, .goingAway:
            report(action)
        }
    }

    func flushSockets() {
        while let pipe = streams.nextUnflushed() { pipe.flush() }
        for flow in flows.takeUnflushed() { flow.flush() }
    }

    // MARK: Frames for the carrier

    /// Hands frames to the carriers while they take them, beginning with the quick lane's.
    private func sendFrames() {
        flushPolicy.sent()
        settleAccount()
        let now = Instant.now
        let quick = carriers.count == 1 ? carriers.first : carrier(of: session.quickLane)
        if let quick { sendFrames(over: quick, hasFlows: !flows.isEmpty, now: now) }
        for carrier in carriers where carrier !== quick { sendFrames(over: carrier, hasFlows: false, now: now) }
        // Bytes of a stream that the peer does not know yet have come back from the other lanes.
        if let quick, carriers.count > 1, session.hasInteractiveWaiting {
            sendFrames(over: quick, hasFlows: !flows.isEmpty, now: now)
        }
        armTimer()
    }

    private func sendFrames(over carrier: LaneCarrier, hasFlows: Bool, now: Instant) {
        let (link, lane) = (carrier.link, carrier.lane)
        link.unsentLimit = UnsentLimit.bytes(session.pathFigures(of: lane, now: now), hasFlows: hasFlows)
        if session.isLimited(lane), carrier.lossWatch.sees(link.retransmitted, now: now) {
            session.carrierLoses(lane, now: now)
        }
        var isDone = false
        while !isDone, link.isWritable {
            if let frame = session.nextFrame(on: lane, now: now) { link.send(frame) } else { isDone = true }
        }
        if !isDone { session.carrierIsFull(lane, now: now) }
        link.flush()
        // A carrier with a low limit of unsent bytes may be full before its socket is.
        if !isDone, link.isWritable { sendsNow = true }
    }

    /// Sends frames before ``run(_:)`` returns.
    func sendFramesNow() {
        sendsNow = true
    }

    /// Sends frames once all events of this iteration of the event loop have been handled, so that they share a flush.
    func sendAtEndOfIteration() {
        guard !isIterationEndScheduled else { return }
        isIterationEndScheduled = true
        eventLoop.assumeIsolated().execute { self.run(.iterationEnded) }
    }
}
