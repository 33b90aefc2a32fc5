import Metrics
import NIOCore
import Synchronization
import TunnelCore

/// The metrics of requests, by the host name that they were for.
///
/// A client that may have many names could make as many series. So the first names have series of their own, and further
/// ones share one. A request for a name that is not public has the label `unknown`, since visitors choose it.
final class RequestSeries: Sendable {
    /// Names with series of their own. The backend's own limit is higher.
    static let limit = 60
    static let other = "other"
    static let unknown = "unknown"

    /// The classes of status codes: 0 for a visitor that has gone without an answer.
    private static let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]

    private let factory: any MetricsFactory
    private let duration: Metrics.Timer
    private let series = Mutex<[String: [Counter]]>([:])

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
        duration = Metrics.Timer(label: "culvert_request_seconds", factory: factory)
        // So that there are counters before the first request.
        _ = counters(of: Self.unknown)
    }

    /// Counts a request that has ended.
    func count(_ record: RequestRecord) {
        duration.recordNanoseconds(record.duration.nanoseconds)
        let index = (1...5).contains(record.status / 100) && record.status != 499 ? record.status / 100 : 0
        counters(of: record.name ?? Self.unknown)[index].increment()
    }

    private func counters(of name: String) -> [Counter] {
        series.withLock { all in
            let name = all[name] != nil || all.count < Self.limit || name == Self.unknown ? name : Self.other
            if let known = all[name] { return known }
            let new = Self.classes.map { status in
                Counter(
                    label: "culvert_requests_total",
                    dimensions: [("name", name), ("status", status)],
                    factory: factory
                )
            }
            all[name] = new
            return new
        }
    }
}
