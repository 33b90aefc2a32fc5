import TunnelCore

/// The limits of log lines that peers cause. Each kind has its own, so that one kind does not hide another.
struct ServerLogs: Sendable {
    /// Requests that open no WebSocket.
    let refusedRequests: LogThrottle
    /// Clients that are refused.
    let refusedClients: LogThrottle
    /// Visitors that are reset before they get a stream.
    let refusedVisitors: LogThrottle
    /// Destinations that a client may not name, or that cannot be reached.
    let refusedForwards: LogThrottle
    /// Requests for ports that are refused.
    let refusedPorts: LogThrottle
    /// Requests for host names.
    let requests: LogThrottle

    init(_ limits: ServerLimits) {
        refusedRequests = LogThrottle(lines: limits.logLines)
        refusedClients = LogThrottle(lines: limits.logLines)
        refusedVisitors = LogThrottle(lines: limits.logLines)
        refusedPorts = LogThrottle(lines: limits.logLines)
        refusedForwards = LogThrottle(lines: limits.logLines)
        requests = LogThrottle(lines: limits.visitorLogLines)
    }

    /// Applies another limit from now on.
    func update(_ limits: ServerLimits) {
        for log in [refusedRequests, refusedClients, refusedVisitors, refusedPorts, refusedForwards] {
            log.update(lines: limits.logLines)
        }
        requests.update(lines: limits.visitorLogLines)
    }
}
