import Mux
import NIOCore

/// Connections that were accepted and have no stream yet: one queue for each tunnel, in the order of arrival. A client's
/// forwards share the queue of tunnel 0.
///
/// Pure: the caller passes the time, and asks which connections have waited too long.
package struct PendingStreams<Pipe> {
    package struct Visitor {
        package let pipe: Pipe
        package let request: OpenRequest
        package fileprivate(set) var deadline: Instant
        /// Whether it waits because all streams of the session are in use.
        package fileprivate(set) var waitsForStream = false
    }

    private let capacity: Int
    private let timeout: Duration
    private let streamTimeout: Duration
    private var queues: [UInt16: CircularBuffer<Visitor>] = [:]
    /// Visitors of all tunnels.
    package private(set) var count = 0

    /// - Parameters:
    ///   - capacity: connections of all tunnels that may wait.
    ///   - timeout: time that one may wait for a carrier, or for the peer to accept others.
    ///   - streamTimeout: time that one may wait while all streams of the session are in use.
    package init(capacity: Int, timeout: Duration, streamTimeout: Duration) {
        self.capacity = capacity
        self.timeout = timeout
        self.streamTimeout = streamTimeout
    }

    package var isEmpty: Bool { count == 0 }

    package var isFull: Bool { count >= capacity }

    /// The tunnels that have pending visitors.
    package var tunnels: [UInt16] { Array(queues.keys) }

    /// Whether a tunnel has pending visitors.
    package func hasVisitors(at tunnel: UInt16) -> Bool { queues[tunnel] != nil }

    /// Pending visitors of a tunnel.
    package func count(at tunnel: UInt16) -> Int { queues[tunnel]?.count ?? 0 }

    /// The visitor that arrived first at a tunnel.
    package func first(at tunnel: UInt16) -> Visitor? { queues[tunnel]?.first }

    /// The earliest deadline; nil if no visitor is pending.
    package var nextDeadline: Instant? { queues.values.compactMap { $0.first?.deadline }.min() }

    /// Appends a visitor to the queue of its tunnel.
    package mutating func append(_ pipe: Pipe, _ request: OpenRequest, now: Instant) {
        queues[request.tunnel, default: []].append(Visitor(pipe: pipe, request: request, deadline: now + timeout))
        count += 1
    }

    /// Shortens the deadlines of a tunnel, because all streams of the session are in use.
    package mutating func shortenDeadlines(at tunnel: UInt16, now: Instant) {
        guard var queue = queues[tunnel], queue.last?.waitsForStream == false else { return }
        for index in queue.indices where !queue[index].waitsForStream {
            queue[index].waitsForStream = true
            queue[index].deadline = min(queue[index].deadline, now + streamTimeout)
        }
        queues[tunnel] = queue
    }

    package mutating func removeFirst(at tunnel: UInt16) {
        guard queues[tunnel]?.popFirst() != nil else { return }
        count -= 1
        if queues[tunnel]?.isEmpty == true { queues[tunnel] = nil }
    }

    /// Removes and returns the visitors whose deadline has passed.
    package mutating func removeExpired(now: Instant) -> [Visitor] {
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
    package mutating func removeAll(at tunnel: UInt16) -> [Visitor] {
        guard let queue = queues.removeValue(forKey: tunnel) else { return [] }
        count -= queue.count
        return Array(queue)
    }

    /// Removes and returns all visitors.
    package mutating func removeAll() -> [Visitor] {
        defer { (queues, count) = ([:], 0) }
        return queues.values.flatMap { $0 }
    }
}
