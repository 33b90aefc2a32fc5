import Cluster
import Metrics
import TunnelCore

/// The resources that all sessions of a server share, on all event loops.
struct ServerResources: Sendable {
    let ports = PortDirectory()
    let routes = RouteTable()
    let groups = PortGroups()
    let fronts = PresentFronts()
    /// The first bytes of all session ids, for a server without a cluster.
    let process = SecureRandom.bytes(ServerID.size)
    let tickets = TicketIssuer()
    let memory: MemoryBudget
    /// Traffic since the start.
    private(set) var totals: TrafficTotals
    /// Log lines that peers cause.
    let logs: ServerLogs
    let shares = ClientShares()
    let bulkProbes = BulkProbes()
    /// The cluster; nil for a server alone.
    var cluster: (any ClusterDirectory)?
    /// The sessions to which other servers open streams; nil unless these resources are those of sessions with servers.
    var peerHome: PeerHome?

    let metrics: ServerMetrics

    /// - Parameter factory: the backend of the server's metrics.
    init(
        _ limits: ServerLimits,
        memoryUse: MemoryUse = MemoryUse(),
        metrics factory: any MetricsFactory = MetricsSystem.factory
    ) {
        metrics = ServerMetrics(factory: factory)
        memory = MemoryBudget(capacity: limits.memory, use: memoryUse)
        logs = ServerLogs(limits)
        totals = TrafficTotals(loggedStreams: limits.visitorLogLines, metrics: TunnelMetrics(factory: factory))
    }

    /// The resources with bytes that are also counted for a client.
    ///
    /// - Parameter client: the operator's name for it.
    func counting(for client: String) -> ServerResources {
        var result = self
        result.totals = TrafficTotals(of: totals, for: metrics.clients.traffic(of: client))
        return result
    }

    /// Applies other limits from now on.
    func update(_ limits: ServerLimits) {
        memory.capacity = limits.memory
        logs.update(limits)
        totals.endedStreams.update(lines: limits.visitorLogLines)
    }
}
