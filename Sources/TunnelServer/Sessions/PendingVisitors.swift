import Mux
import NIOCore
import TunnelCore

/// Visitors who were accepted and have no stream yet, in the order in which they came to each tunnel.
///
/// Pure: it is told the time, and says who has waited too long.
struct PendingVisitors {
    /// A visitor at the door.
    struct Visitor {
        let pipe: StreamPipe
        let visit: OpenRequest
        fileprivate(set) var deadline: Instant
        /// Whether it waits for one of the session's streams, which are used up.
        fileprivate(set) var waitsForStream = false
    }

    private let capacity: Int
    private let patience: Duration
    private let patienceForStream: Duration
    private var queues: [UInt16: CircularBuffer<Visitor>] = [:]
    /// Visitors who wait.
    private(set) var count = 0

    init(_ limits: ServerLimits) {
        capacity = limits.waitingVisitors
        patience = limits.waitingTime
        patienceForStream = limits.waitingTimeForStream
    }

    var isEmpty: Bool { count == 0 }

    var isFull: Bool { count >= capacity }

    /// The tunnels whose visitors wait.
    var tunnels: [UInt16] { Array(queues.keys) }

    /// Whether visitors of a tunnel wait.
    func isWaitedFor(_ tunnel: UInt16) -> Bool { queues[tunnel] != nil }

    /// The next visitor at a tunnel.
    func first(_ tunnel: UInt16) -> Visitor? { queues[tunnel]?.first }

    /// When the first has waited long enough; nil if no visitor waits.
    var nextDeadline: Instant? { queues.values.compactMap { $0.first?.deadline }.min() }

    mutating func enter(_ pipe: StreamPipe, _ visit: OpenRequest, now: Instant) {
        queues[visit.tunnel, default: []].append(Visitor(pipe: pipe, visit: visit, deadline: now + patience))
        count += 1
    }

    /// The visitors of a tunnel wait for streams that are used up: soon they are refused.
    mutating func hurry(_ tunnel: UInt16, now: Instant) {
        guard var queue = queues[tunnel], queue.last?.waitsForStream == false else { return }
        for index in queue.indices where !queue[index].waitsForStream {
            queue[index].waitsForStream = true
            queue[index].deadline = min(queue[index].deadline, now + patienceForStream)
        }
        queues[tunnel] = queue
    }

    mutating func removeFirst(_ tunnel: UInt16) {
        guard queues[tunnel]?.popFirst() != nil else { return }
        count -= 1
        if queues[tunnel]?.isEmpty == true { queues[tunnel] = nil }
    }

    /// Takes out those who have waited too long.
    mutating func expired(now: Instant) -> [Visitor] {
        var expired: [Visitor] = []
        for tunnel in tunnels {
            while let next = queues[tunnel]?.first, next.deadline <= now {
                removeFirst(tunnel)
                expired.append(next)
            }
        }
        return expired
    }

    mutating func removeAll() -> [Visitor] {
        defer { (queues, count) = ([:], 0) }
        return queues.values.flatMap { $0 }
    }
}
