import Mux
import NIOCore

/// Whether an event loop that has nothing to do looks for events again or sleeps. Pure: it is told what each of the
/// loop's turns brought, and when.
///
/// Who asks and waits for the answer finds each hop on the way asleep, and to wake a processor takes longer than all that
/// is to be done there. So a loop looks on for a moment, where the next question or answer has mostly come within it, and
/// lets everybody else have the processor meanwhile. Who comes less often is not looked out for. Nor is who copies: its
/// pieces lie ready in the sockets of both ends. Beside somebody who asks all the time less of it may be under way
/// (``CongestionWindow``), and there a loop that is busy with it looks out for the next piece.
package struct BusyPollPolicy: Sendable {
    /// What moved in a turn.
    package enum Load: Int, Comparable {
        case nothing
        /// Bytes that come or go in masses, or what only the ends themselves say to each other: nobody waits for the first
        /// of them.
        case bulk
        /// A visitor who comes or goes, a question, an answer, a keystroke.
        case little

        /// Up to so many bytes at once somebody is taken to wait for them.
        package static let mostLittle = 4_096

        /// What a frame of the peer's brings.
        package init(receiving type: FrameType, _ length: Int) {
            self =
                switch type {
                case .open, .accept, .end, .reset: .little
                case .data where (1...Self.mostLittle).contains(length): .little
                default: .bulk
                }
        }

        package static func < (left: Load, right: Load) -> Bool { left.rawValue < right.rawValue }
    }

    /// What a loop does at the end of a turn.
    package enum Rest: Equatable {
        case sleep
        case lookAgain
    }

    /// How long a loop looks out for the next event; for a question or an answer without the time in which others have the
    /// processor. 60 µs: in that time a peer in the same machine or the same room answers, and most of it would pass with
    /// waking up.
    package static let span = TimeAmount.microseconds(60)
    /// What a loop may have slept so that looking would have been worth it: the span, and what waking takes.
    package static let nap = TimeAmount.microseconds(120)
    /// A loop is busy that moves bytes for more than one part in so many of the time. 4: what the system spends on reading
    /// the first of them after a sleep is not seen, and is as much again.
    package static let busyShare = 4
    /// The time of which that is said.
    package static let busyWithin = TimeAmount.milliseconds(2)
    /// How long copies are looked out for after a question or an answer. 10 ms: their bytes are an eighth more then; beside
    /// somebody who asks more seldom a copy is as fast as it can be with what may be under way.
    package static let company = TimeAmount.milliseconds(10)
    /// How long others may keep the processor that the loop offers them. 1 ms: then somebody calculates, and whoever has
    /// slept gets the processor sooner than a loop that has just had it.
    package static let patience = TimeAmount.milliseconds(1)
    /// How long nobody is looked out for then. 20 ms: it may have been the machine.
    package static let retreat = TimeAmount.milliseconds(20)
    /// The same where it happens again and again, each time twice as long. 1 s: it is seldom then.
    package static let longestRetreat = TimeAmount.seconds(1)
    /// Questions and answers in time that are remembered.
    private static let most = 8
    /// How many of them one look that was in vain costs.
    private static let price = 2

    private enum State {
        case asleep
        case awake(after: TimeAmount)
        case looking(until: NIODeadline, for: Load)
    }

    private var state = State.asleep
    /// Since when what is going on has lasted.
    private var since: NIODeadline
    /// How the time was spent of late, nanoseconds.
    private var busy = Int64(0)
    private var idle = Int64(0)
    /// Questions and answers that came in time, less looks for them that were in vain; from nought on it is worth it.
    private var credit = 0
    /// When somebody was there last who asks or answers.
    private var lastLittle = NIODeadline.distantPast
    private var lastRetreat = (until: NIODeadline.distantPast, length: TimeAmount.zero)

    package init(now: NIODeadline) {
        since = now
    }

    private var isBusy: Bool { busy * Int64(Self.busyShare) > busy + idle }

    /// The first bytes of a turn move. To be told where the loop has slept before.
    package mutating func wakes(now: NIODeadline) {
        guard case .asleep = state else { return }
        state = .awake(after: now - since)
        idle += spent(now: now)
    }

    /// A turn is over.
    package mutating func turnEnds(_ load: Load, now: NIODeadline) -> Rest {
        if load == .nothing { idle += spent(now: now) } else { busy += spent(now: now) }
        if load == .little { lastLittle = now }
        if now < lastRetreat.until { return rest(.asleep) }
        settle(load, now: now)
        if load == .little, credit >= 0 { return rest(.looking(until: now + Self.span, for: .little)) }
        if load != .nothing, isBusy, now < lastLittle + Self.company {
            return rest(.looking(until: now + Self.span, for: .bulk))
        }
        if case .looking(let until, _) = state, now < until { return .lookAgain }
        return rest(.asleep)
    }

    /// Others were offered the processor, and it is back.
    package mutating func offered(from start: NIODeadline, now: NIODeadline) {
        idle += spent(now: now)
        // It has not looked meanwhile. What it looks out for is often done by those who had the processor. Not so a copy,
        // which took up to a twentieth more of the processor then.
        if case .looking(let until, .little) = state { state = .looking(until: until + (now - start), for: .little) }
        guard now - start > Self.patience else { return }
        let length = lastRetreat.length
        let isHabit = now < lastRetreat.until + length * 8
        let next = isHabit ? min(length * 2, Self.longestRetreat) : Self.retreat
        lastRetreat = (now + next, next)
    }

    /// What looking out for somebody has brought, or would have.
    private mutating func settle(_ load: Load, now: NIODeadline) {
        switch (state, load) {
        case (.looking(let until, _), .little) where now < until:
            credit = min(credit + 1, Self.most)
        case (.looking(let until, for: .little), _) where now >= until && load < .little:
            // No deeper, so that a few in time make up for any number.
            credit = max(credit - Self.price, -Self.price)
        case (.awake(let slept), .little) where slept < Self.nap:
            credit = min(credit + 1, Self.most)
        default:
            break
        }
    }

    private mutating func rest(_ next: State) -> Rest {
        state = next
        if case .asleep = next { return .sleep }
        return .lookAgain
    }

    /// What has passed since this was asked last. What lies further back counts ever less.
    private mutating func spent(now: NIODeadline) -> Int64 {
        let passed = min(now - since, Self.busyWithin).nanoseconds
        since = now
        if passed == Self.busyWithin.nanoseconds {
            (busy, idle) = (0, 0)
        } else if busy + idle > Self.busyWithin.nanoseconds {
            busy /= 2
            idle /= 2
        }
        return passed
    }
}
