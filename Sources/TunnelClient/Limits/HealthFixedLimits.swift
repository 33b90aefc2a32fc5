import TunnelCore

/// Fixed limits of health checks.
extension FixedLimit {
    package static let health: [FixedLimit] = [
        FixedLimit(
            "Time between two health checks of a service",
            .time(HealthChecks.period),
            "an outage is noticed within half a minute"
        ),
        FixedLimit("Time for one health check", .time(HealthProbe.timeout), "visitors would wait as long"),
        FixedLimit(
            "Failed checks in a row after which a service is down",
            .count(HealthState.fall),
            "one lost packet or one restart is no outage"
        ),
        FixedLimit(
            "Good checks in a row after which a service is up again",
            .count(HealthState.rise),
            "a service that just starts may answer once and fail"
        ),
    ]
}
