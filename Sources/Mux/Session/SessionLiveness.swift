/// The deadlines of a session's lanes: acknowledgements, PINGs, and lanes that deliver nothing.
extension Session {
    /// Least time without a sign of life after which a lane is left for another one that works. A TCP connection on a lossy
    /// path recovers within a second.
    static let stallPatience = Duration.seconds(1)
    /// The same in round trips of the lane.
    static let stallRounds = 4
    /// Time between two checks of a lane that delivers nothing while no other lane has shown a sign of life.
    private static let stallPeriod = Duration.milliseconds(200)

    /// The first deadline of all lanes.
    var laneDeadline: Instant {
        var next = Instant(nanoseconds: .max)
        for lane in lanes where lane.isAttached {
            next = min(next, lane.keepAlive.deadline)
            if let due = lane.acknowledger.deadline { next = min(next, due) }
            if let due = lane.congestion.stretchDeadline { next = min(next, due) }
            if let since = lane.unacknowledgedSince, !lane.keepAlive.isAsking {
                next = min(next, since + limits.ackPatience)
            }
            if lanes.count > 1, let due = lane.stallCheck { next = min(next, due) }
        }
        return next
    }

    /// Performs what is due on each lane.
    mutating func tickLanes(now: Instant) {
        for index in lanes.indices where lanes[index].isAttached {
            lanes[index].acknowledger.tick(now: now)
            lanes[index].congestion.tick(now: now)
            let action = lanes[index].keepAlive.tick(now: now)
            if action == .dead {
                report(index, MuxError(.silence, "no answer to a ping within \(lanes[index].keepAlive.answerTime)"))
            }
            perform(action, on: index)
            if let since = lanes[index].unacknowledgedSince, !lanes[index].keepAlive.isAsking,
                now >= since + limits.ackPatience
            {
                lanes[index].unacknowledgedSince = now
                perform(lanes[index].keepAlive.probe(now: now), on: index)
            }
            if lanes.count > 1, let due = lanes[index].stallCheck, now >= due { checkStall(index, now: now) }
        }
    }

    mutating func perform(_ action: KeepAlive.Action, on index: Int) {
        if case .ping(let payload) = action {
            lanes[index].urgent.append(OutboundFrame(.ping, number: payload))
        }
    }

    /// Reports a lane that has delivered nothing for a while if another one has shown a sign of life meanwhile. Otherwise
    /// it pings the others.
    private mutating func checkStall(_ index: Int, now: Instant) {
        lanes[index].stallCheck = now + Self.stallPeriod
        let since = lanes[index].progressAt
        let others = lanes.indices.filter { $0 != index && lanes[$0].isAttached }
        if others.contains(where: { lanes[$0].progressAt > since + Self.stallPatience / 2 }) {
            let silence = now.since(since)
            report(index, MuxError(.silence, "nothing was acknowledged for \(silence), while another carrier delivers"))
        } else {
            for other in others { perform(lanes[other].keepAlive.probe(now: now), on: other) }
        }
    }

    private mutating func report(_ index: Int, _ error: MuxError) {
        guard !lanes[index].isReported else { return }
        lanes[index].isReported = true
        actions.append(.silent(lanes[index].id, error))
    }

    /// Records that a lane has given a sign of life.
    mutating func progressed(_ index: Int, now: Instant) {
        lanes[index].progressAt = now
        lanes[index].isReported = false
        expectProgress(index, now: now)
    }

    /// Sets the next check of a lane that has something in flight from now on, or has delivered a part of it.
    mutating func expectProgress(_ index: Int, now: Instant) {
        guard lanes[index].replay.count > 0 else { return lanes[index].stallCheck = nil }
        let rounds = (lanes[index].keepAlive.roundTrip ?? .zero) * Self.stallRounds
        lanes[index].stallCheck = now + max(Self.stallPatience, rounds)
    }
}
