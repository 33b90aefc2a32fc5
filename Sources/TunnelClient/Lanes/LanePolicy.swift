import Mux

/// Decides how many lanes a client's session has. Pure: observations and failures go in, decisions come out.
///
/// - A lane is reserved for interactive traffic as soon as that runs beside bulk traffic.
/// - Bulk traffic gets a further lane if a ``LaneTrial`` shows that it adds a fifth. A path that is fast already has no
///   trial, since each lane costs processor time.
/// - After a quiet minute there are as many lanes as at the start.
/// - The configuration, the server and a proxy that refuses bound the lanes. Lane 0 is always there.
struct LanePolicy: Sendable {
    /// The rate above which no further lane is tried, bytes a second. 1 Gbit/s: the processor is the limit there.
    static let fastEnough = 125_000_000.0
    /// The round trip below which no further lane is tried: a network that short loses next to nothing.
    static let nearby = Duration.milliseconds(1)

    /// The number of carriers that the configuration asks for.
    let count: CarrierCount
    /// The lanes that the configuration and the server permit.
    private var maximum: Int
    private var demand = LaneDemand()
    private var meter = DeliveryMeter()
    private var trial = LaneTrial()
    private var refusals = LaneRefusals()
    /// The lanes that bulk traffic is known to use well.
    private var proved = 1
    private var reasons: [UInt32: LaneReason] = [:]
    private var opening: [LaneReason] = []
    private var closing: Set<UInt32> = []
    /// The lanes of the last observation, without those that are being closed.
    private var lanes: Set<UInt32> = []
    private var hasLost = false

    /// - Parameter count: the number of carriers that the configuration asks for.
    init(_ count: CarrierCount) {
        self.count = count
        maximum = count.maximum
    }

    /// Whether a lane is kept free of bulk traffic. It begins and ends later than the traffic, as the lanes do.
    var reservesLane: Bool { demand.reservesLane && lanes.count > 1 }

    /// Why a lane was opened; nil for lane 0 and for one that is not known yet.
    func reason(of lane: UInt32) -> LaneReason? { reasons[lane] }

    /// Takes an observation of the session: one at its start, and then one about each second.
    ///
    /// - Returns: what to do, in order.
    mutating func observe(_ observation: LaneObservation) -> [LaneDecision] {
        let now = observation.now
        let (before, hadReserve, wasBulk) = (lanes, demand.reservesLane, demand.isBulk)
        demand.observe(hasBulk: observation.hasBulk, hasInteractive: observation.hasInteractive, now: now)
        take(observation)
        if lanes != before || demand.isBulk && !wasBulk { restart(observation) }
        let open = lanes
        var decisions: [LaneDecision] = []
        if demand.reservesLane == hadReserve { decisions += measure(observation) }
        // What was measured with the reserved lane is what bulk traffic had without it.
        let baseline = demand.reservesLane && !hadReserve ? nil : meter.rate
        if demand.reservesLane != hadReserve {
            reserveChanged()
            restart(observation)
        }
        if demand.isPaused(now: now) { trial.forget() }
        if !demand.isHeld(now: now) { proved = 1 }
        decisions += beginTrial(observation, baseline)
        decisions += openMissing(observation)
        decisions += closeSurplus(observation)
        if lanes != open { restart(observation) }
        return decisions
    }

    /// Records that a further lane could not be dialled, or was refused by a proxy or a front.
    ///
    /// - Returns: the time for which no further lane is dialled, if the log needs a line about it.
    mutating func failed(now: Instant) -> Duration? {
        if !opening.isEmpty { opening.removeLast() }
        trial.abandon()
        return refusals.failed(lanes: lanes.count, now: now)
    }

    /// Records that the server permits this session no more than so many carriers.
    mutating func limited(to number: Int) {
        if !opening.isEmpty { opening.removeLast() }
        trial.abandon()
        maximum = max(1, min(maximum, number))
    }

    // MARK: Steps of an observation

    private mutating func restart(_ observation: LaneObservation) {
        meter.restart(roundTrip: observation.roundTrip, now: observation.now)
    }

    /// Takes the lanes of an observation: new ones get their reasons, and lost ones end what depended on them.
    private mutating func take(_ observation: LaneObservation) {
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
        trial.observe(present, isDialling: observation.dialling > 0, now: observation.now)
        if let lane = trial.lane, !lost.isEmpty {
            // The trial's lane takes the place of the lost one.
            reasons[lane] = .lost
            trial.abandon()
        }
        lanes = present
        refusals.observe(lanes: lanes.count)
    }

    /// Takes the lane of a trial for interactive traffic, or ends a trial that interactive traffic has disturbed.
    private mutating func reserveChanged() {
        if demand.reservesLane {
            if let lane = trial.lane { reasons[lane] = .coincidence }
            opening = opening.map { $0 == .trial ? .coincidence : $0 }
        }
        trial.abandon()
    }

    /// Measures what the lanes deliver to bulk traffic, and ends a trial that has its result.
    private mutating func measure(_ observation: LaneObservation) -> [LaneDecision] {
        let bytes = observation.lanes.reduce(UInt64(0)) { $0 &+ $1.moved }
        guard demand.isBulk, meter.add(bytes, roundTrip: observation.roundTrip, now: observation.now),
            let rate = meter.rate
        else { return [] }
        switch trial.measured(rate, now: observation.now) {
        case .helps(let lane, let percent, let baseline):
            proved = lanes.count - (demand.reservesLane ? 1 : 0)
            // A lane adds no more than each of the others delivers. A higher rate would hide the gain of the next lane.
            meter.cap(at: baseline * Double(proved) / Double(max(1, proved - 1)))
            reasons[lane] = .throughput(percent: percent)
            return []
        case .helpsNot(let lane, let percent):
            return [close(lane, .noGain(percent: percent))]
        case nil:
            return []
        }
    }

    /// Begins a trial of one more lane for bulk traffic, if there may be one.
    private mutating func beginTrial(_ observation: LaneObservation, _ baseline: Double?) -> [LaneDecision] {
        let now = observation.now
        let wanted = wanted(now: now)
        guard let baseline, baseline < Self.fastEnough, let roundTrip = observation.roundTrip, roundTrip >= Self.nearby,
            demand.isBulk, trial.isReady(now: now), observation.dialling == 0, closing.isEmpty,
            wanted - (demand.reservesLane ? 1 : 0) < mostBulk
        else { return [] }
        if lanes.count == wanted + 1, let spare = leastUsed(observation) {
            // A lane that was reserved for interactive traffic is there already.
            trial.begin(baseline: baseline, lane: spare)
            return []
        }
        guard lanes.count == wanted, wanted < maximum, refusals.permits(beside: lanes.count, now: now) else {
            return []
        }
        trial.begin(baseline: baseline, known: lanes)
        opening.append(.trial)
        return [.open(.trial)]
    }

    /// Opens the lanes that are of use now.
    private mutating func openMissing(_ observation: LaneObservation) -> [LaneDecision] {
        let now = observation.now
        let needed = needed(now: now)
        if lanes.count >= needed { hasLost = false }
        let underway = lanes.count + max(observation.dialling, opening.count)
        guard underway < needed else { return [] }
        let more = (underway..<needed)
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
        let kept = min(maximum, wanted(now: now) + (trial.isRunning ? 1 : 0))
        var decisions: [LaneDecision] = []
        while lanes.count > kept, let lane = leastUsed(observation) {
            let reason: LaneCloseReason =
                lanes.count > maximum ? .limit : demand.isHeld(now: now) ? .unneeded : .quiet
            decisions.append(close(lane, reason))
        }
        return decisions
    }

    // MARK: Numbers

    private var mostBulk: Int { count.isAutomatic ? min(CarrierCount.automaticBulk, maximum) : maximum }

    /// The lanes to keep.
    private func wanted(now: Instant) -> Int {
        let traffic = demand.isHeld(now: now) ? proved + (demand.reservesLane ? 1 : 0) : 1
        return min(maximum, max(count.minimum, traffic))
    }

    /// The lanes to dial if they are missing.
    private func needed(now: Instant) -> Int {
        let traffic = (demand.isBulk ? proved : 1) + (demand.isCoinciding(now: now) ? 1 : 0)
        return min(maximum, max(count.minimum, traffic))
    }

    /// The lane that moved the least, except lane 0, which carries the session's own frames.
    private func leastUsed(_ observation: LaneObservation) -> UInt32? {
        observation.lanes.filter { $0.number != 0 && $0.number != trial.lane && lanes.contains($0.number) }
            .min { ($0.moved, $1.number) < ($1.moved, $0.number) }?.number
    }

    private mutating func close(_ lane: UInt32, _ reason: LaneCloseReason) -> LaneDecision {
        lanes.remove(lane)
        closing.insert(lane)
        return .close(lane: lane, reason)
    }
}
