import Cluster
import Logging
import NIOCore
import TunnelCore

/// The links of a server to the others, one for each.
final class PeerLinks {
    private let dialler: any PeerDialler
    private let totals: TrafficTotals
    private let metrics: ClusterMetrics
    private let loop: any EventLoop
    private let logger: Logger
    private var links: [ServerID: PeerLink] = [:]
    /// Called when a link has begun or ended.
    var onChange: (ServerID, Bool) -> Void = { _, _ in }

    init(
        _ dialler: any PeerDialler,
        totals: TrafficTotals,
        metrics: ClusterMetrics,
        on loop: any EventLoop,
        logger: Logger
    ) {
        (self.dialler, self.totals, self.metrics) = (dialler, totals, metrics)
        (self.loop, self.logger) = (loop, logger)
    }

    /// The link to a server, if there is one.
    func known(_ server: ServerID) -> PeerLink? { links[server] }

    /// The link to a server.
    func link(to server: ServerRecord) -> PeerLink {
        if let link = links[server.id] {
            link.update(server)
            return link
        }
        let link = PeerLink(
            to: server,
            dialler,
            totals: totals,
            metrics: metrics,
            on: loop,
            logger: logger
        ) { [weak self] isUp in
            self?.onChange(server.id, isUp)
        }
        links[server.id] = link
        return link
    }

    /// Closes all links.
    func closeAll() {
        for link in links.values { link.close() }
        links = [:]
    }
}
