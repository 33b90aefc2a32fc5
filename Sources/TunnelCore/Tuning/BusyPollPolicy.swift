import Mux
import NIOCore

/// Decides whether an event loop that has nothing to do polls for events or sleeps. Pure: it is told what each iteration
/// brought, and when.
///
/// A request that travels through sleeping event loops pays for waking a processor at each hop, which takes longer than
/// the work to be done there. So a loop polls for a moment after interactive bytes, if the next ones have usually come
/// within it, and offers the processor to other programs meanwhile. Bulk transfers are not polled for: their bytes wait
/// in the sockets of both ends.
package struct BusyPollPolicy: Sendable {
    /// What a loop does at the end of an iteration.
    package enum Decision: Equatable {
        case sleep
        case poll
    }

    /// Bytes up to which a chunk counts as interactive.
    package static let interactiveBytes = 4_096
    /// Time that a loop polls for the next interactive bytes, without the time in which other programs have the processor.
    package static let span = TimeAmount.microseconds(60)
    /// Sleep up to which polling would have been worth it: the span, and the time to wake up.
    package static let worthwhileSleep = TimeAmount.microseconds(120)
    /// Time for which other programs may keep the processor that the loop offers. Beyond it another program computes.
    package static let yieldTolerance = TimeAmount.milliseconds(1)
    /// First pause of polling after that.
    package static let firstBackOff = TimeAmount.milliseconds(20)
    /// Longest pause: each one that follows soon is twice as long.
    package static let longestBackOff = TimeAmount.seconds(1)
    /// Most events in time that are remembered.
    private static let maximumCredit = 8
    /// Credit that one span without an event costs.
    private static let missCost = 2

    private enum State {
        case asleep(since: NIODeadline)
        case awake(after: TimeAmount)
        case polling(until: NIODeadline)
    }

    private var state: State
    /// Interactive events that came in time, less spans without one. Polling is worth it from zero on.
    private var credit = 0
    private var backOff = (until: NIODeadline.distantPast, length: TimeAmount.zero)

    package init(now: NIODeadline) {
        state = .asleep(since: now)
    }

    /// Whether a stream begins or ends with the peer's frame, or a short chunk has come.
    package static func isInteractive(_ type: FrameType, _ length: Int) -> Bool {
        switch type {
        case .open, .accept, .end, .reset: true
        case .data: (1...interactiveBytes).contains(length)
        default: false
        }
    }

    /// Interactive bytes have come. To be called before ``iterationEnded(isInteractive:now:)`` if the loop slept.
    package mutating func woke(now: NIODeadline) {
        guard case .asleep(let since) = state else { return }
        state = .awake(after: now - since)
    }

    /// An iteration is over.
    package mutating func iterationEnded(isInteractive: Bool, now: NIODeadline) -> Decision {
        guard now >= backOff.until else { return sleep(now) }
        settle(isInteractive, now: now)
        if isInteractive, credit >= 0 {
            state = .polling(until: now + Self.span)
            return .poll
        }
        if case .polling(let until) = state, now < until { return .poll }
        return sleep(now)
    }

    /// Other programs were offered the processor, and it is back.
    package mutating func yielded(from start: NIODeadline, now: NIODeadline) {
        // What is polled for is often done by the programs that had the processor meanwhile.
        if case .polling(let until) = state { state = .polling(until: until + (now - start)) }
        guard now - start > Self.yieldTolerance else { return }
        let isRepeated = now < backOff.until + backOff.length * 8
        let length = isRepeated ? min(backOff.length * 2, Self.longestBackOff) : Self.firstBackOff
        backOff = (now + length, length)
    }

    /// Counts what polling has brought, or would have.
    private mutating func settle(_ isInteractive: Bool, now: NIODeadline) {
        switch state {
        case .polling(let until) where isInteractive && now < until:
            credit = min(credit + 1, Self.maximumCredit)
        case .polling(let until) where !isInteractive && now >= until:
            // Bounded, so that a few events in time make up for any number of misses.
            credit = max(credit - Self.missCost, -Self.missCost)
        case .awake(let slept) where isInteractive && slept < Self.worthwhileSleep:
            credit = min(credit + 1, Self.maximumCredit)
        case .polling, .awake, .asleep:
            break
        }
    }

    private mutating func sleep(_ now: NIODeadline) -> Decision {
        state = .asleep(since: now)
        return .sleep
    }
}
