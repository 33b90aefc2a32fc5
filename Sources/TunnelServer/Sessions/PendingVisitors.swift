import Mux
import NIOCore
import TunnelCore

/// Visitors that were accepted and have no stream yet: one queue for each tunnel, in the order of arrival.
///
/// Pure: the caller passes the time, and asks which visitors have waited too long.
struct PendingVisitors<Pipe> {
    struct Visitor {
        let pipe: Pipe
        let request: OpenRequest
        fileprivate(set) var deadline: Instant
        /// Whether it waits because all streams of the session are in use.
        fileprivate(set) var waitsForStream = false
    }

    private let capacity: Int
    private let timeout: Duration
    private let streamTimeout: Duration
    private var queues: [UInt16: CircularBuffer<Visitor>] = [:]
    /// Visitors of all tunnels.
    private(set) var count = 0

    init(_ limits: ServerLimits) {
        capacity = limits.waitingVisitors
        timeout = limits.waitingTime
        streamTimeout = limits.waitingTimeForStream
    }

    var isEmpty: Bool { count == 0 }

    var isFull: Bool { count >= capacity }

    /// The tunnels that have pending visitors.
    var tunnels: [UInt16] { Array(queues.keys) }

    /// Whether a tunnel has pending visitors.
    func hasVisitors(at tunnel: UInt16) -> Bool { queues[tunnel] != nil }

    /// Pending visitors of a tunnel.
    func count(at tunnel: UInt16) -> Int { queues[tunnel]?.count ?? 0 }

    /// The visitor that arrived first at a tunnel.
    func first(at tunnel: UInt16) -> Visitor? { queues[tunnel]?.first }

    /// The earliest deadline; nil if no visitor is pending.
    var nextDeadline: Instant? { queues.values.compactMap { $0.first?.deadline }.min() }

    /// Appends a visitor to the queue of its tunnel.
    mutating func append(_ pipe: Pipe, _ request: OpenRequest, now: Instant) {
        queues[request.tunnel, default: []].append(Visitor(pipe: pipe, request: request, deadline: now + timeout))
        count += 1
    }

    /// Shortens the deadlines of a tunnel, because all streams of the session are in use.
    mutating func shortenDeadlines(at tunnel: UInt16, now: Instant) {
        guard var queue = queues[tunnel], queue.last?.waitsForStream == false else { return }
        for index in queue.indices where !queue[index].waitsForStream {
            queue[index].waitsForStream = true
            queue[index].deadline = min(queue[index].deadline, now + streamTimeout)
        }
        queues[tunnel] = queue
    }

    mutating func removeFirst(at tunnel: UInt16) {
        guard queues[tunnel]?.popFirst() != nil else { return }
        count -= 1
        if queues[tunnel]?.isEmpty == true { queues[tunnel] = nil }
    }

    /// Removes and returns the visitors whose deadline has passed.
    mutating func removeExpired(now: Instant) -> [Visitor] {
        var expired: [Visitor] = []
        for tunnel in tunnels {
            while let next = queues[tunnel]?.first, next.deadline <= now {
                removeFirst(at: tunnel)
                expired.append(next)
            }
        }
        return expired
    }

    /// Removes and returns the visitors of a tunnel.
    mutating func removeAll(at tunnel: UInt16) -> [Visitor] {
        guard let queue = queues.removeValue(forKey: tunnel) else { return [] }
        count -= queue.count
        return Array(queue)
    }

    /// Removes and returns all visitors.
    mutating func removeAll() -> [Visitor] {
        defer { (queues, count) = ([:], 0) }
        return queues.values.flatMap { $0 }
    }
}
