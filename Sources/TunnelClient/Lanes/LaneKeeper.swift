import Logging
import Mux
import NIOCore
import TunnelCore

/// Opens, renews and leaves the lanes of a client's session as its ``LanePolicy`` decides.
///
/// It lives on the session's event loop, from the session's start to its end. ``ReconnectLoop`` dials the
/// carrier of `firstLane`, the lane with the lowest number in use.
final class LaneKeeper {
    /// Dials a carrier for a lane, and reports the end of the dial on the event loop: nil if the lane has the carrier.
    typealias Dial = (LaneID, _ done: @escaping @Sendable (DialError?) -> Void) -> Task<Void, Never>

    /// Time between two observations: while the session carries bulk or has several lanes, and otherwise.
    static let periods = (busy: TimeAmount.milliseconds(500), quiet: TimeAmount.seconds(1))
    /// The round trip from which interactive traffic gets a lane of its own. 5 ms: a nearer network loses next to nothing,
    /// and the scheduler keeps its queue short.
    static let far = Duration.milliseconds(5)
    /// Bytes of long frames between two observations that count as bulk traffic. 64 KiB: 1 Mbit/s in 500 ms.
    static let bulk: UInt64 = 65_536

    private let sessionLoop: SessionLoop
    private let dial: Dial
    private let logger: Logger
    private var policy: LanePolicy
    /// Dials that run, by lane.
    private var dials: [LaneID: Task<Void, Never>] = [:]
    /// Bytes that each lane had moved at the last observation.
    private var moved: [LaneID: UInt64] = [:]
    private var bulkBytes: UInt64 = 0
    private var observedAt = Instant.now
    private var timer: Scheduled<Void>?
    /// The age at which carriers are replaced; nil if they are not.
    var renewal: Duration?
    /// When a failed renewal is tried again, and the wait after the next failure.
    private var retry = (at: Instant.now, wait: retries.first)
    /// The first and the longest wait after a failed renewal.
    private static let retries = (first: Duration.seconds(30), longest: Duration.seconds(600))
    /// Until when no lane is dialled, since a proxy has refused the password.
    private var passwordIsRefusedUntil: Instant?
    /// Lanes whose carriers are to be replaced.
    private var due: Set<LaneID> = []

    init(_ sessionLoop: SessionLoop, _ count: CarrierCount, logger: Logger, dial: @escaping Dial) {
        self.sessionLoop = sessionLoop
        self.dial = dial
        self.logger = logger
        policy = LanePolicy(count)
    }

    /// Begins to observe the session.
    func start() {
        observe()
    }

    /// Ends observations and dials, since the session is over.
    func stop() {
        timer?.cancel()
        timer = nil
        for dial in dials.values { dial.cancel() }
    }

    /// Ends dials, since the session has lost its last carrier. It continues with one.
    func lostAll() {
        due = []
        for dial in dials.values { dial.cancel() }
    }

    /// Replaces the carriers of all lanes except `firstLane`, one after the other.
    func renewAll() {
        due = Set(sessionLoop.laneStates.map(\.lane)).subtracting([sessionLoop.firstLane])
        renewNext()
    }

    /// Why a lane was opened; nil for lane 0.
    func reason(of lane: LaneID) -> String? { policy.reason(of: lane.rawValue)?.description }

    // MARK: Observations

    private func observe() {
        guard !sessionLoop.isEnded else { return }
        let isBusy = sessionLoop.hasCarrier && decide()
        timer = sessionLoop.eventLoop.assumeIsolated().scheduleTask(
            in: isBusy ? Self.periods.busy : Self.periods.quiet
        ) {
            self.observe()
        }
    }

    /// Gives the policy an observation, and performs its decisions.
    ///
    /// - Returns: whether the next observation should come soon.
    private func decide() -> Bool {
        let now = Instant.now
        let (first, states) = (sessionLoop.firstLane, sessionLoop.laneStates)
        let bulk = sessionLoop.bulkBytes &- bulkBytes
        var observation = LaneObservation(
            now: now,
            roundTrip: sessionLoop.roundTrip,
            lanes: states.map { state in
                LaneObservation.Lane(number: state.lane.rawValue, moved: state.moved &- (moved[state.lane] ?? 0))
            },
            quick: sessionLoop.quickLane.rawValue
        )
        observation.hasBulk = bulk >= Self.bulk
        observation.hasInteractive =
            sessionLoop.roundTrip ?? .zero >= Self.far && sessionLoop.hasInteractive(within: now.since(observedAt))
        observation.dialling = dials.keys.count { !sessionLoop.hasLane($0) }
        moved = Dictionary(uniqueKeysWithValues: states.map { ($0.lane, $0.moved) })
        bulkBytes = sessionLoop.bulkBytes
        observedAt = now
        for decision in policy.observe(observation) { perform(decision) }
        if let renewal {
            due.formUnion(states.lazy.filter { $0.lane != first && $0.age ?? .zero >= renewal }.map(\.lane))
        }
        renewNext()
        return observation.hasBulk || states.count > 1 || !dials.isEmpty
    }

    private func perform(_ decision: LaneDecision) {
        switch decision {
        case .open(let reason):
            guard passwordIsRefusedUntil.map({ $0 <= .now }) ?? true, let lane = sessionLoop.requestLane() else {
                _ = policy.failed(now: .now)
                return
            }
            logger.debug("dialling a further WebSocket", metadata: ["lane": "\(lane)", "why": "\(reason)"])
            start(lane, isNew: true)
        case .close(let number, let reason):
            let lane = LaneID(number)
            logger.info("carrier closed", metadata: ["lane": "\(lane)", "why": "\(reason)"])
            sessionLoop.run(.retireLane(lane))
        }
    }

    // MARK: Dials

    private func renewNext() {
        due.formIntersection(sessionLoop.laneStates.map(\.lane))
        due.remove(sessionLoop.firstLane)
        guard dials.isEmpty, sessionLoop.hasCarrier, .now >= retry.at, let lane = due.min() else { return }
        due.remove(lane)
        start(lane, isNew: false)
    }

    private func start(_ lane: LaneID, isNew: Bool) {
        let keeper = NIOLoopBound(self, eventLoop: sessionLoop.eventLoop)
        dials[lane] = dial(lane) { error in keeper.value.ended(lane, isNew: isNew, error) }
    }

    private func ended(_ lane: LaneID, isNew: Bool, _ error: DialError?) {
        dials[lane] = nil
        guard !sessionLoop.isEnded else { return }
        defer { renewNext() }
        guard let error else {
            retry = (.now, Self.retries.first)
            guard isNew else { return }
            return logger.info(
                "carrier added",
                metadata: ["lane": "\(lane)", "lanes": .number(sessionLoop.laneCount)]
            )
        }
        sessionLoop.run(isNew ? .abandonLane(lane) : .takeDeferred(lane))
        guard sessionLoop.hasCarrier else { return }
        // Another dial would be refused too, and a few tries lock an account.
        if error.isPasswordRefusal { passwordIsRefusedUntil = .now + DialPlan.ban }
        guard isNew else { return renewalFailed(error) }
        if error.refusal == .limit { return policy.limited(to: sessionLoop.laneCount) }
        guard let wait = policy.failed(now: .now) else { return }
        logger.notice(
            "no further WebSocket could be opened; the session continues with the present ones",
            metadata: ["reason": "\(error)", "lanes": .number(sessionLoop.laneCount), "again_in": .time(wait)]
        )
    }

    /// The lane keeps its carrier, and another one is dialled later.
    private func renewalFailed(_ error: DialError) {
        let wait = passwordIsRefusedUntil.map { max(retry.wait, $0.since(.now)) } ?? retry.wait
        if retry.wait == Self.retries.first {
            logger.warning(
                "renewal failed; the present WebSocket stays in use",
                metadata: ["reason": "\(error)", "again_in": .time(wait)]
            )
        }
        retry = (.now + wait, min(retry.wait * 2, Self.retries.longest))
    }
}
