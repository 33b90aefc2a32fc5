import Cluster
import Logging
import NIOCore
import TunnelCore

/// The links of a server to the others, one for each.
final class PeerLinks {
    private let dialler: any PeerDialler
    private let healths: PeerHealths
    private let totals: TrafficTotals
    private let metrics: ClusterMetrics
    private let times: PeerLinkTimes
    private let loop: any EventLoop
    private let logger: Logger
    private var links: [ServerID: PeerLink] = [:]
    /// Called when a link has begun or ended.
    var onChange: (ServerID, Bool) -> Void = { _, _ in }

    init(
        _ dialler: any PeerDialler,
        _ healths: PeerHealths,
        totals: TrafficTotals,
        metrics: ClusterMetrics,
        times: PeerLinkTimes,
        on loop: any EventLoop,
        logger: Logger
    ) {
        (self.dialler, self.healths) = (dialler, healths)
        (self.totals, self.metrics, self.times) = (totals, metrics, times)
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
            PeerHealth(server.id, in: healths),
            totals: totals,
            metrics: metrics,
            times: times,
            on: loop,
            logger: logger
        ) { [weak self] isUp in
            self?.onChange(server.id, isUp)
        }
        link.onStreamEnd = { [weak self] in self?.streamEnded() }
        links[server.id] = link
        return link
    }

    private var onIdle: (() -> Void)?

    /// Calls a function once no stream leads to another server.
    func whenIdle(_ body: @escaping () -> Void) {
        onIdle = body
        streamEnded()
    }

    private func streamEnded() {
        guard let onIdle, links.values.allSatisfy({ $0.streams == 0 }) else { return }
        self.onIdle = nil
        onIdle()
    }

    /// Forgets servers that have left the cluster, unless a link to one lives.
    func keep(_ servers: some Sequence<ServerID>) {
        let present = Set(servers)
        for (server, link) in links where !present.contains(server) && !link.isOpen {
            link.close()
            links[server] = nil
            healths.succeeded(server)
        }
    }

    /// Ends clients' carriers that lead to other servers.
    func releaseCarriers() {
        for link in links.values { link.releaseCarriers() }
    }

    /// Closes all links.
    func closeAll() {
        for link in links.values { link.close() }
        links = [:]
    }
}
