import Mux
import NIOCore
import TunnelCore

/// The regular checks of a session's services, from the time when their tunnels are public.
final class HealthChecks {
    /// Time between two checks of a service.
    static let period = TimeAmount.seconds(10)

    private final class Service {
        let check: HealthCheck
        let egress: any Egress
        let host: String
        let statistics: TunnelStatistics
        var state = HealthState()
        var timer: Scheduled<Void>?
        var isStopped = false

        init(_ check: HealthCheck, _ egress: any Egress, host: String, _ statistics: TunnelStatistics) {
            (self.check, self.egress, self.host, self.statistics) = (check, egress, host, statistics)
        }
    }

    private let loop: any EventLoop
    private let health: ServiceHealth
    private var services: [UInt16: Service] = [:]

    init(on loop: any EventLoop, reportingTo health: ServiceHealth) {
        (self.loop, self.health) = (loop, health)
    }

    /// A tunnel is public: its service is checked at once.
    func start(_ tunnel: ClientSession.Tunnel) {
        guard let check = tunnel.spec.health, case .egress(let egress) = tunnel.way else { return }
        stop(tunnel.statistics.tunnel)
        let hostHeader = tunnel.spec.name?.hostHeader ?? ""
        let host = hostHeader.isEmpty ? tunnel.spec.service : hostHeader
        let service = Service(check, egress, host: host.hasPrefix("/") ? "localhost" : host, tunnel.statistics)
        services[tunnel.statistics.tunnel] = service
        run(service)
    }

    /// A tunnel is not public any more.
    func stop(_ tunnel: UInt16) {
        guard let service = services.removeValue(forKey: tunnel) else { return }
        service.isStopped = true
        service.timer?.cancel()
    }

    /// The session is over.
    func stopAll() {
        for tunnel in Array(services.keys) { stop(tunnel) }
    }

    private func run(_ service: Service) {
        HealthProbe.run(service.check, service.egress, host: service.host, on: loop).assumeIsolated()
            .whenSuccess { problem in
                guard !service.isStopped else { return }
                if service.state.note(isGood: problem == nil) {
                    self.health.checked(service.statistics, isUp: service.state.isUp ?? false, problem ?? "")
                }
                service.timer = self.loop.assumeIsolated().scheduleTask(in: Self.period) { self.run(service) }
            }
    }
}
