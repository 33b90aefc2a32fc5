import Testing

@testable import Mux

/// Carriers that are lost, and lanes that begin, move to other carriers, and are left.
extension Model {
    /// The server's answer to a RESUME, on a new carrier.
    struct Answer {
        let lane: LaneID
        let carrier: Int
        let epoch: UInt64
        let serverReceived: UInt64
        /// Whether the client has asked for the lane, and not resumed it.
        let isNew: Bool
        /// Whether the client had no other carrier when it asked.
        let isOnly: Bool
    }

    /// Lets one end lose a carrier, or makes a new carrier, or both; opens or leaves a lane.
    mutating func disturb() {
        switch below(4) {
        case 0: lose(.client)
        case 1: lose(.server)
        default: break
        }
        if below(2) == 0 { resume(losesRequest: below(4) == 0, losesAnswer: below(4) == 0, isLate: below(2) == 0) }
        guard mostLanes > 1 else { return }
        if below(2) == 0 { openLane(losesRequest: below(5) == 0, losesAnswer: below(5) == 0, isLate: below(3) > 0) }
        if below(4) == 0 { retire() }
    }

    /// Takes a carrier from one end. The other end may still use it.
    private mutating func lose(_ role: Role) {
        let lanes = currentCarrier[role]?.keys.sorted() ?? []
        guard !lanes.isEmpty else { return }
        let lane = lanes[below(lanes.count)]
        cuts += 1
        if below(2) == 0, let carrier = currentCarrier[role]?[lane] { truncate(carrier) }
        detach(role, lane)
    }

    /// Loses all frames in flight, except a part of the next frame in each direction.
    private mutating func truncate(_ carrier: Int) {
        for role in [Role.server, .client] {
            let cameOut = carriers[carrier][role]?.truncate(&random) ?? false
            check(!cameOut, "a frame came out of a part of it")
        }
    }

    /// Moves a lane to a new carrier, whether the client has one or not. The request or the answer may be lost, and the
    /// answer may come late.
    mutating func resume(losesRequest: Bool = false, losesAnswer: Bool = false, isLate: Bool = false) {
        guard let lanes = sessions[.client]?.laneIDs, !lanes.isEmpty else { return check(false, "no lane") }
        // Without any carrier the client begins with the first lane.
        let isOnly = currentCarrier[.client]?.isEmpty ?? true
        let lane = isOnly ? lanes[0] : lanes[below(lanes.count)]
        // One dial at a time serves a lane.
        answers.removeAll { $0.lane == lane && !$0.isNew }
        // As the client does, which sets frames of the old carrier aside meanwhile.
        if sessions[.client]?.attachedLanes == [lane] { detach(.client, lane) }
        carriers.append([.server: ModelLink(), .client: ModelLink()])
        guard !losesRequest else { return }
        let (new, now) = (carriers.count - 1, now)
        epoch += 1
        let epoch = epoch
        let clientReceived = sessions[.client]?.received(on: lane) ?? 0
        let serverReceived = sessions[.server]?.received(on: lane) ?? 0
        currentCarrier[.server]?[lane] = new
        position[.server]?[lane] = Int(clamping: clientReceived)
        with(.server) { session throws(MuxError) in
            _ = try session.attach(lane, epoch: epoch, peerReceived: clientReceived, now: now)
        }
        check(sessions[.server]?.hasLane(lane) ?? false, "the server has left lane \(lane)")
        guard !losesAnswer else {
            // Its old carrier was closed by the server.
            return detach(.client, lane)
        }
        answers.append(
            Answer(
                lane: lane,
                carrier: new,
                epoch: epoch,
                serverReceived: serverReceived,
                isNew: false,
                isOnly: isOnly || currentCarrier[.client]?.isEmpty ?? true
            )
        )
        if !isLate { take(answers.removeLast()) }
    }

    /// Opens a further lane. The request or the answer may be lost, and the answer may come late.
    private mutating func openLane(losesRequest: Bool, losesAnswer: Bool, isLate: Bool) {
        guard sessions[.client]?.laneIDs.count ?? 0 < mostLanes else { return }
        var requested: LaneID?
        with(.client) { session throws(MuxError) in requested = session.requestLane() }
        guard let lane = requested else { return check(false, "no number for a lane") }
        carriers.append([.server: ModelLink(), .client: ModelLink()])
        let (new, now) = (carriers.count - 1, now)
        epoch += 1
        let epoch = epoch
        if !losesRequest {
            currentCarrier[.server]?[lane] = new
            with(.server) { session throws(MuxError) in
                _ = try session.attach(lane, epoch: epoch, peerReceived: 0, now: now)
            }
        }
        guard !losesRequest, !losesAnswer else {
            return with(.client) { session throws(MuxError) in session.abandonLane(lane) }
        }
        answers.append(
            Answer(lane: lane, carrier: new, epoch: epoch, serverReceived: 0, isNew: true, isOnly: false)
        )
        if !isLate { take(answers.removeLast()) }
    }

    /// Lets a late answer arrive.
    mutating func answer() {
        guard !answers.isEmpty else { return }
        let answer = answers.remove(at: below(answers.count))
        // Without any carrier, the client has ended the dials of all lanes but the one that it resumes.
        guard answer.isOnly || currentCarrier[.client]?.isEmpty == false else {
            if answer.isNew { with(.client) { session throws(MuxError) in session.abandonLane(answer.lane) } }
            return
        }
        guard take(answer) else { return }
        if answer.isNew { lateAnswers.new += 1 } else { lateAnswers.resumed += 1 }
    }

    /// Gives the client the carrier of an answer, unless it has left the lane.
    ///
    /// - Returns: whether the client has taken it.
    @discardableResult
    private mutating func take(_ answer: Answer) -> Bool {
        let (lane, now) = (answer.lane, now)
        var isTaken = false
        with(.client) { session throws(MuxError) in
            isTaken = try session.attach(
                lane,
                epoch: answer.epoch,
                peerReceived: answer.serverReceived,
                now: now
            )
        }
        guard isTaken else { return false }
        currentCarrier[.client]?[lane] = answer.carrier
        position[.client]?[lane] = Int(clamping: answer.serverReceived)
        return true
    }

    /// Whether the client waits for another carrier for a lane, and sets aside what comes over the one that it has.
    func isReplaced(_ role: Role, _ lane: LaneID) -> Bool {
        role == .client && answers.contains { $0.lane == lane && !$0.isNew }
    }

    /// Lets the client leave a lane.
    private mutating func retire() {
        let lanes = sessions[.client]?.laneIDs ?? []
        guard lanes.count > 1 else { return }
        let (lane, now) = (lanes[below(lanes.count)], now)
        with(.client) { session throws(MuxError) in session.retire(lane, now: now) }
    }
}
