import Mux
import TunnelCore

/// One tunnel's limits and statistics, from its request until its port is closed.
final class TunnelAdmission {
    /// The client's request.
    let request: BindRequest
    let statistics: TunnelStatistics
    /// The tunnel as the router sees it, once its name is public.
    var member: RouteMember?
    var gate: VisitorGate
    /// The tunnel's bandwidth, which its visitors share.
    private(set) var rateLimit: RateLimit?

    init(_ request: BindRequest, _ limits: VisitorLimits, rememberedAddresses: Int, totals: TrafficTotals) {
        self.request = request
        gate = VisitorGate(limits, rememberedAddresses: rememberedAddresses)
        statistics = TunnelStatistics(
            tunnel: request.tunnel,
            kind: request.kind,
            role: .server,
            totals: totals
        )
        rateLimit = limits.bandwidth.map { RateLimit(bytesPerSecond: $0, now: .now) }
    }

    /// Whether the service takes visitors, as far as the client's own checks show. Without checks it does.
    var isHealthy: Bool { !request.hasHealthCheck || statistics.health == .up }

    /// Applies other limits to visitors that arrive from now on.
    func update(_ limits: VisitorLimits) {
        rateLimit = RateLimit.updated(rateLimit, bytesPerSecond: limits.bandwidth)
        gate.limits = limits
    }

    /// The rules of a visitor's stream.
    ///
    /// - Parameter clientRateLimit: the bandwidth that all sockets of the session share.
    func streamPolicy(_ clientRateLimit: RateLimit?) -> StreamPolicy {
        StreamPolicy(
            idleTimeout: gate.limits.idleSeconds.map { .seconds(Int64($0)) },
            rateLimits: [clientRateLimit, rateLimit].compactMap { $0 }
        )
    }
}
