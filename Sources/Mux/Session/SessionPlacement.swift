/// Which frames go over which lane (the page SendingPolicy).
///
/// Control frames go over the lane with the lowest number, interactive bytes over the first one that has a carrier. Bulk
/// goes over the others, and over this one too while there is no interactive stream.
extension Session {
    /// How long the first lane is kept free of bulk after interactive traffic. 10 s: a person reads for as long between two
    /// keystrokes.
    static let reservation = Duration.seconds(10)
    /// Round trips for which bulk still uses the first lane after another one was attached, which has to become fast
    /// first.
    static let warmingRounds = 16
    /// Share of the first lane's rate that the others must reach, before that time, for bulk to leave it.
    static let warmShare = 0.5

    /// What a lane may carry now.
    func place(_ index: Int, now: Instant) -> SendScheduler.Place {
        guard lanes.count > 1 || !retiring.isEmpty else { return SendScheduler.Place() }
        let isFirst = index == interactiveLane
        let id = lanes[index].id
        return SendScheduler.Place(
            hasControl: index == 0 && !isControlBlocked,
            hasInteractive: isFirst,
            hasBulk: !isFirst || bulkUsesFirstLane(index, now: now),
            isFree: { $0.isKnown || $0.announced == id }
        )
    }

    /// Whether bulk goes over the lane of interactive bytes as well.
    private func bulkUsesFirstLane(_ first: Int, now: Instant) -> Bool {
        guard hasInteractive(within: Self.reservation, now: now) else { return true }
        var (rate, longest) = (0.0, Duration.zero)
        for index in lanes.indices where index != first && lanes[index].isAttached {
            rate += lanes[index].congestion.rate
            longest = max(longest, now.since(lanes[index].attachedAt))
        }
        guard longest > .zero || rate > 0 else { return true }
        let rounds = (lanes[first].keepAlive.roundTrip ?? .zero) * Self.warmingRounds
        return rate < lanes[first].congestion.rate * Self.warmShare && longest < rounds
    }
}
