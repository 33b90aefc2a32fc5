import Logging
import Mux
import NIOCore
import TunnelCore

/// Whether the services of a session's tunnels answered their last visitor: for the log, and for the server's operator.
///
/// The log reports changes and not each visitor. The server gets each change once; of many in a short time only the last.
final class ServiceHealth {
    private struct Service {
        var isUp = true
        var reason = ""
        /// What the server knows.
        var isReportedUp = true
        var pause: Scheduled<Void>?
    }

    /// The least time between two reports of one tunnel: with 256 tunnels less than half of what a server takes.
    static let period = TimeAmount.seconds(5)

    private let sessionLoop: SessionLoop
    private let logger: Logger
    private var services: [UInt16: Service] = [:]

    init(_ sessionLoop: SessionLoop, logger: Logger) {
        self.sessionLoop = sessionLoop
        self.logger = logger
    }

    /// A visitor was joined to its service.
    func answered(_ statistics: TunnelStatistics) {
        guard services[statistics.tunnel]?.isUp == false else { return }
        services[statistics.tunnel]?.isUp = true
        statistics.health = .up
        logger.notice("service answers again", metadata: ["service": "\(statistics.service ?? "")"])
        report(statistics.tunnel)
    }

    /// A visitor's service cannot be reached.
    func failed(_ statistics: TunnelStatistics, visitor: String, _ reason: String) {
        var service = services[statistics.tunnel] ?? Service()
        let isNew = service.isUp
        service.isUp = false
        service.reason = reason
        services[statistics.tunnel] = service
        guard isNew else { return }
        statistics.health = .down(reason)
        logger.warning(
            "service cannot be reached",
            metadata: ["service": "\(statistics.service ?? "")", "visitor": "\(visitor)", "reason": "\(reason)"]
        )
        report(statistics.tunnel)
    }

    /// A tunnel is public, perhaps for another time: the server knows nothing of its service.
    func published(_ statistics: TunnelStatistics) {
        services[statistics.tunnel]?.isReportedUp = true
        report(statistics.tunnel)
    }

    /// The session is over.
    func stop() {
        for service in services.values { service.pause?.cancel() }
        services = [:]
    }

    private func report(_ tunnel: UInt16) {
        guard let service = services[tunnel], service.pause == nil, service.isUp != service.isReportedUp else { return }
        services[tunnel]?.isReportedUp = service.isUp
        services[tunnel]?.pause = sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: Self.period) { [weak self] in
            self?.services[tunnel]?.pause = nil
            self?.report(tunnel)
        }
        sessionLoop.run(
            .state(TunnelState(tunnel: tunnel, isUp: service.isUp, reason: service.isUp ? "" : service.reason))
        )
    }
}
