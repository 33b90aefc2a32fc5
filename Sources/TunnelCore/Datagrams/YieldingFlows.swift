import Mux
import NIOCore

/// The flows of a port that give way to new ones at its limit: first those without an answer, then those that are not a
/// conversation. Of each kind, one gives way that has been silent for long.
///
/// A flow waits with the deadline that it has then. One that has been used since goes to the end of its queue, so a search
/// costs no more than what was sent before it.
struct YieldingFlows {
    private typealias Entry = (flow: IngressFlow, deadline: Instant)

    private var unanswered = CircularBuffer<Entry>()
    private var answered = CircularBuffer<Entry>()

    /// Adds a new flow.
    mutating func append(_ flow: IngressFlow) {
        unanswered.append((flow, flow.deadline))
    }

    /// Removes and returns a flow that gives way; nil if all are conversations.
    mutating func takeOldest() -> IngressFlow? {
        while let entry = unanswered.popFirst() {
            guard entry.flow.isOpen else { continue }
            if entry.flow.isAnswered {
                answered.append((entry.flow, entry.flow.deadline))
            } else if entry.flow.deadline == entry.deadline {
                return entry.flow
            } else {
                unanswered.append((entry.flow, entry.flow.deadline))
            }
        }
        while let entry = answered.popFirst() {
            guard entry.flow.isOpen, !entry.flow.isConversation else { continue }
            guard entry.flow.deadline != entry.deadline else { return entry.flow }
            answered.append((entry.flow, entry.flow.deadline))
        }
        return nil
    }

    /// Forgets flows that have ended, if they are more than those that live.
    mutating func forgetEnded(living count: Int) {
        guard unanswered.count + answered.count > 2 * count else { return }
        unanswered.removeAll { !$0.flow.isOpen }
        answered.removeAll { !$0.flow.isOpen || $0.flow.isConversation }
    }
}
