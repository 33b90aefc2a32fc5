import Metrics

/// The metrics of the last reload of the configuration.
package struct ReloadMetrics: Sendable {
    private let time: Meter
    private let success: Meter

    /// - Parameter factory: the backend; the process's own by default.
    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        time = Meter(label: "culvert_last_reload_timestamp_seconds", factory: factory)
        success = Meter(label: "culvert_last_reload_success", factory: factory)
    }

    /// Notes that the configuration was read, at the start or later.
    ///
    /// - Parameter isApplied: false if it has a mistake, and nothing has changed.
    package func note(isApplied: Bool) {
        time.set(WallClock.unixSeconds)
        success.set(isApplied ? 1 : 0)
    }
}
