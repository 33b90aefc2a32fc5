import Logging
import Mux
import NIOCore
import TunnelCore

/// Whether the services of a session's tunnels answered their last visitor: for the log, and for the server's operator.
///
/// The log reports changes and not each visitor. The server gets each change once; of many in a short time only the last.
final class ServiceHealth {
    private struct Service {
        /// Whether the client checks the service by itself. What visitors find counts for nothing then.
        var isChecked = false
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
        guard services[statistics.tunnel]?.isUp == false, services[statistics.tunnel]?.isChecked == false else {
            return
        }
        services[statistics.tunnel]?.isUp = true
        statistics.health = .up
        logger.notice("service answers again", metadata: ["service": "\(statistics.service ?? "")"])
        report(statistics.tunnel)
    }

    /// A visitor's service cannot be reached.
    func failed(_ statistics: TunnelStatistics, visitor: String, _ reason: String) {
        var service = services[statistics.tunnel] ?? Service()
        guard !service.isChecked else { return }
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

    /// A check has found that a service is up or down.
    func checked(_ statistics: TunnelStatistics, isUp: Bool, _ reason: String) {
        var service = services[statistics.tunnel] ?? Service()
        if !service.isChecked { (service.isChecked, service.isReportedUp) = (true, false) }
        // The first report is due in either case: the server waits for it.
        if service.isReportedUp == isUp { service.isReportedUp = !isUp }
        (service.isUp, service.reason) = (isUp, reason)
        services[statistics.tunnel] = service
        statistics.health = isUp ? .up : .down(reason)
        var metadata: Logger.Metadata = ["service": "\(statistics.service ?? "")"]
        if isUp {
            logger.notice("health check: service is up", metadata: metadata)
        } else {
            metadata["reason"] = "\(reason)"
            logger.warning("health check: service is down", metadata: metadata)
        }
        report(statistics.tunnel)
    }

    /// A tunnel is public, perhaps for another time: the server knows nothing of its service.
    func published(_ statistics: TunnelStatistics) {
        if let service = services[statistics.tunnel] {
            // A server holds back visitors of a service that is checked until it has a report.
            services[statistics.tunnel]?.isReportedUp = !(service.isChecked && service.isUp)
        }
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
