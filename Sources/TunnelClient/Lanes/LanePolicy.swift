import Mux

/// Decides how many lanes a client's session has. Pure: observations and failures go in, decisions come out.
///
/// - A lane is reserved for interactive traffic as soon as that runs beside bulk traffic.
/// - Bulk traffic gets further lanes if a ``LaneTrial`` shows that each adds a fifth. A path that is fast already has no
///   trial, since each lane costs processor time.
/// - After a quiet minute there are as many lanes as at the start.
/// - The configuration, the server, and refusals by a proxy bound the number of lanes. The quick lane is never closed.
struct LanePolicy: Sendable {
    /// The rate above which no further lane is tried, bytes a second. 1 Gbit/s: the processor is the limit there.
    static let fastEnough = 125_000_000.0
    /// The rate from which a transfer has to last a while before further lanes are tried, bytes a second. 50 Mbit/s: few
    /// proxies throttle above it, and a CUBIC connection on a lossy path is slower.
    static let slow = 6_250_000.0
    /// How long such a transfer has to last. 15 s: a trial without gain costs as much as 0.5 s of the transfer.
    static let lengthy = Duration.seconds(15)
    /// The round trip below which no further lane is tried: so short a path seldom loses packets.
    static let nearby = Duration.milliseconds(1)
    /// The share of all bytes up to which a lane is free of bulk.
    static let freeShare = 0.1

    /// The number of carriers that the configuration asks for.
    let count: CarrierCount
    /// The lanes that the configuration and the server permit.
    var maximum: Int
    var demand = LaneDemand()
    var meter = DeliveryMeter()
    var trial = LaneTrial()
    var refusals = LaneRefusals()
    /// The number of lanes that trials have shown to be of use to bulk traffic.
    var proved = 1
    var reasons: [UInt32: LaneReason] = [:]
    var opening: [LaneReason] = []
    var closing: Set<UInt32> = []
    /// The lanes of the last observation, without those that are being closed.
    var lanes: Set<UInt32> = []
    /// The quick lane of the last observation.
    var quick: UInt32 = 0
    private var hasLost = false

    /// Creates a policy.
    ///
    /// - Parameter count: the number of carriers that the configuration asks for.
    init(_ count: CarrierCount) {
        self.count = count
        maximum = count.maximum
    }

    /// Whether a lane is kept free of bulk traffic. Becomes true and false later than the traffic, as lanes
    /// are opened and closed later.
    var reservesLane: Bool { demand.reservesLane && lanes.count > 1 }

    /// Why a lane was opened; nil for lane 0 and for one that is not known yet.
    func reason(of lane: UInt32) -> LaneReason? { reasons[lane] }

    /// Takes an observation of the session: one at its start, and then one or two each second.
    ///
    /// - Returns: what to do, in order.
    mutating func observe(_ observation: LaneObservation) -> [LaneDecision] {
        let now = observation.now
        let (before, former, wasFree, formerQuick) = (lanes, demand, isQuickFree, quick)
        quick = observation.quick
        demand.observe(hasBulk: observation.hasBulk, hasInteractive: observation.hasInteractive, now: now)
        let untried = lanes.filter { reasons[$0] != .trial }
        trial.raise(to: meter.pace(of: bytes(observation, of: untried), now: now))
        take(observation, formerQuick)
        reserveChanged(observation, former)
        var decisions: [LaneDecision] = []
        if lanes != before || demand.isBulk && !former.isBulk || isQuickFree != wasFree || quick != formerQuick {
            restart(observation)
        } else {
            decisions += measure(observation)
        }
        if demand.isPaused(now: now) { trial.forget() }
        if !demand.isHeld(now: now) { proved = 1 }
        let open = lanes
        decisions += beginTrial(observation)
        decisions += openMissing(observation)
        decisions += closeSurplus(observation)
        if lanes != open { restart(observation) }
        return decisions
    }

    /// Records that a further lane could not be dialled, or was refused by a proxy or a front. The others that are being
    /// dialled may still come.
    ///
    /// - Returns: the time for which no further lane is dialled, if the log needs a line about it.
    mutating func failed(now: Instant) -> Duration? {
        dropDial()
        return refusals.failed(lanes: lanes.count + opening.count, now: now)
    }

    /// Records that the server permits this session only `number` carriers, besides those that are being opened.
    mutating func limited(to number: Int) {
        dropDial()
        maximum = max(1, min(maximum, number + opening.count))
    }

    private mutating func dropDial() {
        // Which dial has failed does not matter, since lanes get their reasons in the order of their arrival.
        if opening.popLast() == .trial { trial.dropDial() }
    }

    // MARK: Steps of an observation

    mutating func restart(_ observation: LaneObservation) {
        meter.restart(roundTrip: observation.roundTrip, now: observation.now)
    }

    /// Takes the lanes of an observation: new ones get their reasons, and lost ones end what depended on them.
    private mutating func take(_ observation: LaneObservation, _ formerQuick: UInt32) {
        let all = observation.numbers
        let lost = lanes.subtracting(all)
        closing.formIntersection(all)
        let present = all.subtracting(closing)
        for lane in present.subtracting(lanes).sorted() where lane != 0 {
            reasons[lane] = opening.isEmpty ? .lost : opening.removeFirst()
        }
        if observation.dialling == 0 { opening.removeAll() }
        reasons = reasons.filter { all.contains($0.key) }
        if !lost.isEmpty { hasLost = true }
        if reasons[quick] == .trial, present.contains(formerQuick) { reserveTried(present, now: observation.now) }
        let tried = trial.lanes
        trial.observe(
            present.filter { reasons[$0] == .trial },
            isDialling: observation.dialling > 0,
            now: observation.now
        )
        if !lost.subtracting(tried).isEmpty, trial.size > 0 {
            // Lanes of the trial take the place of lost ones.
            let heirs = trial.lanes.sorted { ($0 == quick ? 0 : 1, $0) < ($1 == quick ? 0 : 1, $1) }
            for lane in heirs.prefix(lost.count) { reasons[lane] = .lost }
            trial.abandon()
        }
        if trial.size == 0 { reasons = reasons.filter { $0.value != .trial } }
        lanes = present
        refusals.observe(lanes: lanes.count)
    }

    /// Reserves a lane of a trial that the session has made its quick one. A lane that was meant for interactive traffic
    /// takes its place in the trial.
    private mutating func reserveTried(_ present: Set<UInt32>, now: Instant) {
        reasons[quick] = .coincidence
        if let index = opening.firstIndex(of: .coincidence) {
            opening[index] = .trial
        } else if let lane = present.first(where: { $0 != quick && reasons[$0] == .coincidence }) {
            reasons[lane] = .trial
        } else {
            trial.dropDial()
        }
        demand.reserve(now: now)
        if !opening.contains(.trial), !present.contains(where: { reasons[$0] == .trial }) { trial.abandon() }
    }

    /// Opens the lanes that are of use now.
    private mutating func openMissing(_ observation: LaneObservation) -> [LaneDecision] {
        let now = observation.now
        let needed = needed(now: now)
        if lanes.count >= needed { hasLost = false }
        let expected = lanes.count + max(observation.dialling, opening.count)
        guard expected < needed else { return [] }
        let more = (expected..<needed)
            .prefix { $0 + closing.count < maximum && refusals.permits(beside: $0, now: now) }
            .map { present -> LaneReason in
                hasLost ? .lost : present < count.minimum ? .configured(count.minimum) : .coincidence
            }
        opening += more
        return more.map(LaneDecision.open)
    }

    /// Closes the lanes that have been of no use for a while.
    private mutating func closeSurplus(_ observation: LaneObservation) -> [LaneDecision] {
        let now = observation.now
        let kept = min(maximum, wanted(now: now, reserve: demand.reservesLane) + trial.size)
        var decisions: [LaneDecision] = []
        while lanes.count > kept, let lane = leastUsed(observation) {
            let reason: LaneCloseReason =
                lanes.count > maximum ? .limit : demand.isHeld(now: now) ? .unneeded : .quiet
            decisions.append(close(lane, reason))
        }
        return decisions
    }

    // MARK: Numbers

    var mostBulk: Int { count.isAutomatic ? min(CarrierCount.automaticBulk, maximum) : maximum }

    /// Whether the session keeps its quick lane free of bulk.
    var isQuickFree: Bool { lanes.count > 1 && demand.isNearInteractive }

    /// The lanes that bulk traffic uses now.
    var bulkLanes: Set<UInt32> { isQuickFree ? lanes.subtracting([quick]) : lanes }

    /// The number of lanes to keep.
    func wanted(now: Instant, reserve: Bool) -> Int {
        let traffic = demand.isHeld(now: now) ? proved + (reserve ? 1 : 0) : 1
        return min(maximum, max(count.minimum, traffic))
    }

    /// The number of lanes below which one is dialled.
    private func needed(now: Instant) -> Int {
        let traffic = (demand.isBulk ? proved : 1) + (demand.isCoinciding(now: now) ? 1 : 0)
        return min(maximum, max(count.minimum, traffic) + trial.size)
    }

    func bytes(_ observation: LaneObservation, of numbers: Set<UInt32>) -> UInt64 {
        observation.lanes.reduce(0) { numbers.contains($1.number) ? $0 &+ $1.moved : $0 }
    }

    /// The lane that moved the least, except the quick one.
    private func leastUsed(_ observation: LaneObservation) -> UInt32? {
        observation.lanes
            .filter { $0.number != quick && !trial.lanes.contains($0.number) && lanes.contains($0.number) }
            .min { ($0.moved, $1.number) < ($1.moved, $0.number) }?.number
    }

    mutating func close(_ lane: UInt32, _ reason: LaneCloseReason) -> LaneDecision {
        lanes.remove(lane)
        closing.insert(lane)
        return .close(lane: lane, reason)
    }
}
