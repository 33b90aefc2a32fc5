/// Decides which frames go over which lane (the page SendingPolicy).
///
/// One lane is the quick one. Control frames and interactive bytes go over it, and bulk over the others. Bulk uses the
/// quick lane too if it is the only one, or if there was no interactive traffic for 10 s (``reservation``).
extension Session {
    /// How long the quick lane is kept free of bulk after interactive traffic. 10 s: a person may read for that long before
    /// the next keystroke.
    static let reservation = Duration.seconds(10)
    /// How long a lane counts as used by bulk after a long DATA frame in either direction, when a new lane begins.
    static let bulkSpan = Duration.seconds(1)

    /// The lane for interactive bytes; nil without a carrier.
    var quickIndex: Int? {
        if let index = index(of: quickLane), lanes[index].isAttached { return index }
        return lanes.firstIndex(where: \.isAttached)
    }

    /// The frames that a lane may carry now.
    mutating func place(_ index: Int, now: Instant) -> SendScheduler.Place {
        guard lanes.count > 1 || !retiring.isEmpty else { return SendScheduler.Place() }
        let isQuick = index == quickIndex
        let isShared = !isQuick || !hasInteractive(within: Self.reservation, now: now) || attachedCount == 1
        let id = lanes[index].id
        return SendScheduler.Place(
            hasControl: isQuick && mayTakeControl(id),
            hasCredit: isQuick,
            hasInteractive: isQuick,
            hasBulk: isShared,
            isFree: { $0.isKnown || $0.announced == id }
        )
    }

    /// Whether bulk uses one lane only.
    func isOnlyOneForBulk(now: Instant) -> Bool {
        attachedCount <= (hasInteractive(within: Self.reservation, now: now) ? 2 : 1)
    }

    private var attachedCount: Int { lanes.count(where: \.isAttached) }

    /// Whether control frames may go over a lane. They keep their order, so they change lanes only once the peer has those
    /// that went over another one.
    private mutating func mayTakeControl(_ lane: LaneID) -> Bool {
        guard !isControlBlocked else { return false }
        if control.lane != lane {
            if let index = index(of: control.lane), lanes[index].replay.acknowledged < control.count { return false }
            control = (lane, 0)
        }
        return true
    }

    /// Notes a control frame that has left over a lane. CREDIT does not count, since no frame depends on its order.
    mutating func noteControl(over index: Int) {
        control = (lanes[index].id, lanes[index].replay.sent)
    }

    /// Whether a lane has control frames that the peer has not acknowledged.
    func hasControl(_ lane: Lane) -> Bool {
        control.lane == lane.id && lane.replay.acknowledged < control.count
    }

    /// Lets the windows of all lanes grow quickly, since another lane is gone.
    mutating func takeShareOfLostLane() {
        for index in lanes.indices where lanes[index].isAttached { lanes[index].congestion.regrow() }
    }

    /// Chooses the quick lane after lanes have changed.
    ///
    /// - Parameter new: a lane that begins. It becomes the quick lane if bulk uses the present one, so that bulk stays on
    ///   the carrier that is fast already. Both ends see the bulk, and choose the same lane.
    mutating func chooseQuickLane(new: Int? = nil, now: Instant) {
        if let index = index(of: quickLane), lanes[index].isAttached {
            guard let new, let bulkAt = lanes[index].bulkAt, now.since(bulkAt) < Self.bulkSpan,
                hasInteractive(within: Self.reservation, now: now)
            else { return }
            quickLane = lanes[new].id
        } else {
            let attached = lanes.filter(\.isAttached)
            if let next = attached.min(by: { $0.replay.bytes < $1.replay.bytes }) { quickLane = next.id }
        }
        scheduler.unpark()
    }
}
