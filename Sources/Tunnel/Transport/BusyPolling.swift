import NIOCore

/// Whether an event loop that has nothing to do looks for events again or sleeps. Pure: it is told what each of the
/// loop's turns brought, and when.
///
/// Who asks and waits for the answer finds each hop on the way asleep, and to wake a processor takes longer than all that
/// is to be done there. So a loop looks on for a moment, where the next event has mostly come within it, and lets
/// everybody else have the processor meanwhile. Whoever comes less often is not looked out for.
struct BusyPolling: Sendable {
    /// What a loop does at the end of a turn.
    enum Rest: Equatable {
        case sleep
        case lookAgain
    }

    /// How long a loop looks out for the next event. 60 µs: in that time a peer in the same machine or the same room
    /// answers, and most of it would pass with waking up.
    static let span = TimeAmount.microseconds(60)
    /// What a loop may have slept so that looking would have been worth it: the span, and what waking takes.
    static let nap = TimeAmount.microseconds(120)
    /// How long others may keep the processor that the loop offers them. 1 ms: then somebody calculates, and whoever has
    /// slept gets the processor sooner than a loop that has just had it.
    static let patience = TimeAmount.milliseconds(1)
    /// How long nobody is looked out for then. 20 ms: it may have been the machine.
    static let retreat = TimeAmount.milliseconds(20)
    /// The same where it happens again and again, each time twice as long. 1 s: it is a thousandth of that then.
    static let longestRetreat = TimeAmount.seconds(1)
    /// Events in time that are remembered.
    private static let most = 8
    /// How many of them one look that was in vain costs.
    private static let price = 2

    private enum State {
        case asleep(since: NIODeadline)
        case looking(until: NIODeadline)
    }

    private var state: State
    /// Events that came in time, less looks in vain; from nought on it is worth it.
    private var credit = 0
    private var lastRetreat = (until: NIODeadline.distantPast, length: TimeAmount.zero)

    init(now: NIODeadline) {
        state = .asleep(since: now)
    }

    /// The first bytes of a turn move, after a sleep.
    mutating func wakes(now: NIODeadline) {
        guard case .asleep(let since) = state, now - since < Self.nap else { return }
        credit = min(credit + 1, Self.most)
    }

    /// A turn is over.
    ///
    /// - Parameter hasMoved: whether bytes have moved in it.
    mutating func turnEnds(hasMoved: Bool, now: NIODeadline) -> Rest {
        if case .looking(let until) = state {
            if hasMoved {
                credit = min(credit + 1, Self.most)
            } else if now < until {
                return .lookAgain
            } else {
                credit -= Self.price
            }
        }
        guard hasMoved, credit >= 0, now >= lastRetreat.until else {
            state = .asleep(since: now)
            return .sleep
        }
        state = .looking(until: now + Self.span)
        return .lookAgain
    }

    /// Others were offered the processor, and it is back.
    mutating func offered(since: NIODeadline, now: NIODeadline) {
        guard now - since > Self.patience else { return }
        let length = lastRetreat.length
        let isHabit = now < lastRetreat.until + length * 8
        let next = isHabit ? min(length * 2, Self.longestRetreat) : Self.retreat
        lastRetreat = (now + next, next)
    }
}
