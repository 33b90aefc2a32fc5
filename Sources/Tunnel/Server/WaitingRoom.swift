import Mux
import NIOCore

/// Visitors who were accepted and have no stream yet, in the order in which they came.
///
/// Pure: it is told the time, and says who has waited too long.
struct WaitingRoom {
    /// How many wait here. 256: each costs a socket; whoever comes later waits in the kernel's listen queue.
    static let capacity = 256
    /// How long one waits for a carrier: a proxy that restarts takes less, and a person gives up.
    static let patience = Duration.seconds(15)

    private var visitors: CircularBuffer<(pipe: StreamPipe, visit: Visit, deadline: Moment)> = []

    var isEmpty: Bool { visitors.isEmpty }

    var isFull: Bool { visitors.count >= Self.capacity }

    /// Who is next.
    var first: (pipe: StreamPipe, visit: Visit)? { visitors.first.map { ($0.pipe, $0.visit) } }

    /// When the first has waited long enough; nil where nobody waits.
    var nextDeadline: Moment? { visitors.first?.deadline }

    mutating func enter(_ pipe: StreamPipe, _ visit: Visit, now: Moment) {
        visitors.append((pipe, visit, now + Self.patience))
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
