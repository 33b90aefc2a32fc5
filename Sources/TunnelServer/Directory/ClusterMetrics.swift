import Metrics
import TunnelCore

/// The metrics of a server in a cluster. A server alone has none of them.
final class ClusterMetrics: Sendable {
    private let storeUp: Meter
    private let servers: Meter
    private let claims: Meter
    private let portsOfOthers: Meter
    private let links: Meter
    private let storeRequests: Counter
    private let storeFailures: Counter
    private let relayedVisitors: Counter
    private let relayedCarriers: Counter
    private let lostClaims: Counter

    /// Creates all of them, so that counters are 0 before the first event.
    init(factory: any MetricsFactory) {
        func meter(_ name: String) -> Meter { Meter(label: "culvert_cluster_\(name)", factory: factory) }
        func counter(_ name: String) -> Counter { Counter(label: "culvert_cluster_\(name)_total", factory: factory) }
        storeUp = meter("store_up")
        servers = meter("servers")
        claims = meter("claims")
        portsOfOthers = meter("ports_of_others")
        links = meter("links")
        storeRequests = counter("store_requests")
        storeFailures = counter("store_failures")
        relayedVisitors = counter("relayed_visitors")
        relayedCarriers = counter("relayed_carriers")
        lostClaims = counter("lost_claims")
    }

    /// Counts a request to the store.
    func asked() { storeRequests.increment() }

    /// Counts a request that the store has not answered, or a watch that has ended.
    func storeFailed() { storeFailures.increment() }

    /// Counts a visitor that is sent to another server.
    func relayedVisitor() { relayedVisitors.increment() }

    /// Counts a client's carrier that is sent to the home of its session.
    func relayedCarrier() { relayedCarriers.increment() }

    /// Counts a claim that another server has got.
    func lostClaim() { lostClaims.increment() }

    /// Sets the gauges.
    func publish(_ status: ClusterStatus) {
        storeUp.set(status.isStoreReachable ? 1 : 0)
        servers.set(status.servers.count)
        claims.set(status.claims)
        portsOfOthers.set(status.portsOfOthers)
        links.set(status.servers.count { $0.isLinked })
    }
}
