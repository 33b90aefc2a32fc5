import Mux
import NIOCore

/// Visitors who were accepted and have no stream yet, in the order in which they came.
///
/// Pure: it is told the time, and says who has waited too long.
struct WaitingRoom {
    private let capacity: Int
    private let patience: Duration
    private var visitors: CircularBuffer<(pipe: StreamPipe, visit: Visit, deadline: Moment)> = []

    init(_ limits: ServerLimits) {
        capacity = limits.waitingVisitors
        patience = limits.waitingTime
    }

    var isEmpty: Bool { visitors.isEmpty }

    var isFull: Bool { visitors.count >= capacity }

    /// Who is next.
    var first: (pipe: StreamPipe, visit: Visit)? { visitors.first.map { ($0.pipe, $0.visit) } }

    /// When the first has waited long enough; nil where nobody waits.
    var nextDeadline: Moment? { visitors.first?.deadline }

    mutating func enter(_ pipe: StreamPipe, _ visit: Visit, now: Moment) {
        visitors.append((pipe, visit, now + patience))
    }

    mutating func removeFirst() {
        _ = visitors.popFirst()
    }

    /// Takes out those who have waited too long.
    mutating func expired(now: Moment) -> [(pipe: StreamPipe, visit: Visit)] {
        var expired: [(pipe: StreamPipe, visit: Visit)] = []
        while let next = visitors.first, next.deadline <= now {
            visitors.removeFirst()
            expired.append((next.pipe, next.visit))
        }
        return expired
    }

    mutating func removeAll() -> [(pipe: StreamPipe, visit: Visit)] {
        defer { visitors.removeAll() }
        return visitors.map { ($0.pipe, $0.visit) }
    }
}
