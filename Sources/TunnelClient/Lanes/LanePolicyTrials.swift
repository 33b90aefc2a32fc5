import Mux

/// The trials of further lanes for bulk traffic.
extension LanePolicy {
    /// Reserves a lane for interactive traffic that starts during a trial, if one more is permitted. Otherwise the trial
    /// ends.
    mutating func reserveChanged(_ observation: LaneObservation, _ former: LaneDemand) {
        guard trial.size > 0 else { return }
        if former.reservesLane {
            // The session has changed the use of its quick lane.
            if demand.isNearInteractive != former.isNearInteractive { trial.abandon() }
            return
        }
        let hasRoom = wanted(now: observation.now, reserve: true) + trial.size <= maximum
        if demand.isBulk, demand.isNearInteractive, hasRoom { demand.reserve(now: observation.now) }
        guard demand.reservesLane, !hasRoom else { return }
        if let lane = trial.lanes.min() { reasons[lane] = .coincidence }
        opening = opening.map { $0 == .trial ? .coincidence : $0 }
        trial.abandon()
    }

    /// Measures what the lanes deliver to bulk traffic, and ends a trial that has its result.
    mutating func measure(_ observation: LaneObservation) -> [LaneDecision] {
        let all = bytes(observation, of: observation.numbers)
        let others = bytes(observation, of: bulkLanes.subtracting(trial.lanes))
        if isQuickFree, Double(bytes(observation, of: [quick])) > Double(all) * Self.freeShare {
            // The quick lane still carries bulk, so the rates of the others do not count yet.
            meter.restart(roundTrip: nil, now: observation.now)
            return []
        }
        let isComplete = meter.add(all, others: others, roundTrip: observation.roundTrip, now: observation.now)
        guard demand.isBulk, isComplete, let rate = meter.rate, !isQuickFree || demand.reservesLane
        else { return [] }
        let sample = LaneTrial.Sample(total: rate.total, others: rate.others)
        switch trial.measured(sample, now: observation.now) {
        case .helps(let tried, let keep, let percent, let spare, let most):
            let decisions = closeLeast(observation, tried, tried.count - keep, .noGain(percent: spare))
            for lane in lanes where reasons[lane] == .trial { reasons[lane] = .throughput(percent: percent) }
            proved = lanes.count - (demand.reservesLane ? 1 : 0)
            // A higher rate would hide the gain of the next lanes.
            meter.cap(at: most)
            return decisions
        case .helpsNot(let tried, let percent):
            return closeLeast(observation, tried, tried.count, .noGain(percent: percent))
        case nil:
            return []
        }
    }

    /// Begins a trial of further lanes for bulk traffic, if there may be some.
    mutating func beginTrial(_ observation: LaneObservation) -> [LaneDecision] {
        let now = observation.now
        guard let rate = meter.rate?.best, rate < Self.fastEnough, let roundTrip = observation.roundTrip,
            roundTrip >= Self.nearby, demand.isBulk, trial.isReady(now: now), observation.dialling == 0,
            closing.isEmpty, !isQuickFree || demand.reservesLane,
            rate < Self.slow || demand.hasLasted(Self.lengthy, now: now)
        else { return [] }
        if demand.isNearInteractive, !demand.reservesLane, maximum > 2 {
            // The session would free the quick lane during the trial and change its result. So the lane is reserved first.
            demand.reserve(now: now)
            return []
        }
        let wanted = wanted(now: now, reserve: demand.reservesLane)
        guard lanes.count == wanted else { return [] }
        let bulk = max(1, wanted - (demand.reservesLane ? 1 : 0))
        let most = min(maximum, wanted + min(max(bulk, LaneTrial.step), mostBulk - bulk))
        let dials = (wanted..<max(wanted, most)).prefix { refusals.permits(beside: $0, now: now) }.count
        guard dials > 0 else { return [] }
        trial.begin(dials, rate: rate, lanes: bulkLanes.count)
        opening += Array(repeating: .trial, count: dials)
        return Array(repeating: .open(.trial), count: dials)
    }

    /// Closes the least used lanes of bulk traffic after a trial: of two lanes that share a bottleneck, the one that
    /// carries more is the better one, whether it was on trial or not.
    private mutating func closeLeast(
        _ observation: LaneObservation,
        _ tried: Set<UInt32>,
        _ number: Int,
        _ reason: LaneCloseReason
    ) -> [LaneDecision] {
        let candidates = bulkLanes.subtracting([quick])
        let closed = observation.lanes.filter { candidates.contains($0.number) }
            .sorted { ($0.moved, $1.number) < ($1.moved, $0.number) }
            .prefix(max(0, min(number, candidates.count - (isQuickFree ? 1 : 0)))).map(\.number)
        for (heir, lane) in zip(tried.subtracting(closed).sorted(), Set(closed).subtracting(tried).sorted()) {
            reasons[heir] = reasons[lane]
        }
        if !closed.isEmpty { restart(observation) }
        return closed.map { close($0, reason) }
    }
}
