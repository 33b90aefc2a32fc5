import CoreMetrics
import Tunnel

/// The process's metrics: counted only where somebody can ask for them.
enum AdminMetrics {
    /// Makes the registry the process's backend where there is an admin address; once, before any role is made.
    ///
    /// - Returns: the metrics' text; nil where there are none.
    static func bootstrap(_ admin: ListenAddress?) -> (@Sendable () -> String)? {
        guard admin != nil else { return nil }
        let registry = PrometheusRegistry(help: MetricHelp.texts)
        MetricsSystem.bootstrap(registry)
        return { registry.exposition() }
    }
}
