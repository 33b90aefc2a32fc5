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
    let metrics: TunnelMetrics
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

    var owner: Owner?
    var flushPolicy = FlushPolicy()
    var timer: (due: Instant, task: Scheduled<Void>)?
    var phase = Phase.idle
    /// Inputs that arrived while another one was run.
    var waiting = CircularBuffer<SessionInput>()
    var isIterationEndScheduled = false
    /// Frames are to be sent before `run` returns.
    var sendsNow = false
    var roomHasChanged = false

    /// The role that owns the session.
    enum Owner {
        case server(any ServerSessionOwner)
        case client(any ClientSessionOwner)

        var common: any SessionOwner {
            switch self {
            case .server(let owner): owner
            case .client(let owner): owner
            }
        }
    }

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

    func performActions() {
        phase = .performing
        while let action = session.nextAction() { perform(action) }
        phase = .running
    }

    /// Hands frames to the carrier while it takes them.
    func sendFrames() {
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
    func sendAtEndOfIteration() {
        guard !isIterationEndScheduled else { return }
        isIterationEndScheduled = true
        eventLoop.assumeIsolated().execute { self.run(.iterationEnded) }
    }

    /// Counts what the session holds, and sets the session's memory pressure.
    func settleAccount() {
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
}
