import CoreMetrics
import Metrics
import Synchronization
import Tunnel
import TunnelCore

/// The process's metrics, which are counted only if there is an admin server.
enum AdminMetrics {
    /// Makes a registry the process's backend if there is an admin address. Called once, before a role is made.
    ///
    /// - Returns: the metrics' text; nil without an admin address.
    static func bootstrap(_ admin: AdminPlaces) -> (@Sendable () -> String)? {
        guard !admin.isEmpty else { return nil }
        let registry = PrometheusRegistry(help: MetricHelp.texts)
        MetricsSystem.bootstrap(registry)
        let lost = LostLines()
        return {
            lost.measure()
            return registry.exposition()
        }
    }

    /// Notes that a configuration was read again and has a mistake, so that the role does not see it.
    static func reloadFailed() {
        ReloadMetrics().note(isApplied: false)
    }
}

/// The metric of the log's lines that were lost.
private final class LostLines: Sendable {
    private let counter = Counter(label: "culvert_lost_log_lines_total")
    private let counted = Mutex(0)

    func measure() {
        let now = LogWriter.standardError.lostInAll
        counted.withLock { counted in
            counter.increment(by: max(0, now - counted))
            counted = max(now, counted)
        }
    }
}
