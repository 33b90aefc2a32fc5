import TunnelCore

/// The lines of the log that peers cause at will, one bound for each kind, so that the noise of one kind hides no other.
struct ServerLogs: Sendable {
    /// Requests that open no WebSocket.
    let refusedRequests: LogThrottle
    /// Clients that are not let in.
    let refusedClients: LogThrottle
    /// Visitors that are reset at the door.
    let refusedVisitors: LogThrottle
    /// Ports that clients ask for and do not get.
    let refusedPorts: LogThrottle

    init(_ limits: ServerLimits) {
        refusedRequests = LogThrottle(lines: limits.logLines)
        refusedClients = LogThrottle(lines: limits.logLines)
        refusedVisitors = LogThrottle(lines: limits.logLines)
        refusedPorts = LogThrottle(lines: limits.logLines)
    }

    /// Lets other numbers of events in from now on.
    func update(_ limits: ServerLimits) {
        for log in [refusedRequests, refusedClients, refusedVisitors, refusedPorts] {
            log.update(lines: limits.logLines)
        }
    }
}
