import Metrics
import Synchronization

/// Bytes by direction, with the same names at both ends of a tunnel.
package struct Traffic: Sendable, Hashable {
    /// From visitors, towards services.
    package var toService = 0
    /// From services, towards visitors.
    package var toVisitor = 0

    package init(toService: Int = 0, toVisitor: Int = 0) {
        (self.toService, self.toVisitor) = (toService, toVisitor)
    }

    package static func += (left: inout Traffic, right: Traffic) {
        left.toService += right.toService
        left.toVisitor += right.toVisitor
    }
}

/// Counts the bytes of one client.
package struct ClientTraffic: Sendable {
    private let toService: Counter
    private let toVisitor: Counter

    /// - Parameter client: the operator's name for it.
    package init(client: String, factory: any MetricsFactory) {
        func counter(_ direction: String) -> Counter {
            let dimensions = [("client", client), ("direction", direction)]
            return Counter(label: "culvert_client_bytes_total", dimensions: dimensions, factory: factory)
        }
        (toService, toVisitor) = (counter("to_service"), counter("to_visitor"))
    }

    fileprivate func add(_ news: Traffic) {
        toService.increment(by: news.toService)
        toVisitor.increment(by: news.toVisitor)
    }
}

/// What a role has carried since it started. Shared by all event loops. Counted when sockets open and close and when the
/// status is asked for, not for each byte.
package final class TrafficTotals: Sendable {
    private let toService = Atomic(0)
    private let toVisitor = Atomic(0)
    private let sessionCount = Atomic(0)
    private let visitorCount = Atomic(0)
    /// Ended streams that are logged in ten seconds unless configured.
    package static let defaultLoggedStreams = 1_000
    /// The log's lines of streams that have ended: visitors cause them at will.
    package let endedStreams: LogThrottle

    /// The role's metrics.
    package let metrics: TunnelMetrics
    private let whole: TrafficTotals?
    private let client: ClientTraffic?

    /// - Parameters:
    ///   - loggedStreams: ended streams that are logged in ten seconds.
    ///   - metrics: the role's.
    package init(
        loggedStreams: Int = TrafficTotals.defaultLoggedStreams,
        metrics: TunnelMetrics = TunnelMetrics()
    ) {
        self.metrics = metrics
        endedStreams = LogThrottle(lines: loggedStreams)
        (whole, client) = (nil, nil)
    }

    /// Creates a part of a role's totals, whose bytes are also counted for a client.
    package init(of whole: TrafficTotals, for client: ClientTraffic) {
        metrics = whole.metrics
        endedStreams = whole.endedStreams
        self.whole = whole
        self.client = client
    }

    /// Bytes that have been counted.
    package var traffic: Traffic {
        Traffic(toService: toService.load(ordering: .relaxed), toVisitor: toVisitor.load(ordering: .relaxed))
    }

    /// Sessions so far.
    package var sessions: Int { sessionCount.load(ordering: .relaxed) }

    /// Visitors so far.
    package var visitors: Int { visitorCount.load(ordering: .relaxed) }

    /// Counts a session.
    ///
    /// - Returns: its number, from 1 on.
    @discardableResult
    package func addSession() -> Int {
        if let whole { return whole.addSession() }
        metrics.sessions.increment()
        return sessionCount.add(1, ordering: .relaxed).newValue
    }

    package func addVisitor() {
        if let whole { return whole.addVisitor() }
        visitorCount.add(1, ordering: .relaxed)
    }

    package func add(_ news: Traffic) {
        client?.add(news)
        if let whole { return whole.add(news) }
        toService.add(news.toService, ordering: .relaxed)
        toVisitor.add(news.toVisitor, ordering: .relaxed)
        metrics.bytesToServices.increment(by: news.toService)
        metrics.bytesToVisitors.increment(by: news.toVisitor)
    }
}
