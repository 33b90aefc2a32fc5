import CoreMetrics
import Tunnel

/// The process's metrics, which are counted only if there is an admin server.
enum AdminMetrics {
    /// Makes a registry the process's backend if there is an admin address. Called once, before a role is made.
    ///
    /// - Returns: the metrics' text; nil without an admin address.
    static func bootstrap(_ admin: AdminPlaces) -> (@Sendable () -> String)? {
        guard !admin.isEmpty else { return nil }
        let registry = PrometheusRegistry(help: MetricHelp.texts)
        MetricsSystem.bootstrap(registry)
        return { registry.exposition() }
    }
}
