import Cluster
import Logging
import Metrics
import Mux
import NIOCore
import NetworkAddress
import Synchronization
import TunnelCore

/// A server's membership in its cluster: the address for other servers, the claims, and the ports of others.
final class ClusterMember: Sendable {
    /// The path of the endpoint for other servers.
    static let path = "/peer"
    /// Sessions that other servers may have here at a time. 10,000: one for each server of the largest cluster, ten times.
    static let sessions = 10_000

    private let setup: ClusterSetup
    private let configuration: ServerConfiguration
    private let group: any EventLoopGroup
    private let metrics: ClusterMetrics
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var service: ClusterService?
        /// The core of the clients' sessions.
        weak var clients: ServerCore?
        var core: ServerCore?
        var channels: [any Channel] = []
    }

    init(
        _ setup: ClusterSetup,
        _ configuration: ServerConfiguration,
        on group: any EventLoopGroup,
        metrics factory: any MetricsFactory,
        logger: Logger
    ) {
        (self.setup, self.configuration, self.group) = (setup, configuration, group)
        (metrics, self.logger) = (ClusterMetrics(factory: factory), logger)
    }

    /// The claims of the sessions that use these resources.
    func service(for resources: ServerResources) -> ClusterService {
        let record = ServerRecord(
            ServerID(UInt32.random(in: .min ... .max)),
            peerURL: "",
            version: culvertVersion,
            since: WallClock.unixSeconds
        )
        let loop = group.next()
        let (connections, flows) = (configuration.serverLimits.ingress, configuration.serverLimits.flows)
        let dropped = resources.totals.metrics.droppedDatagrams
        let fronts = resources.fronts
        let ports = RemotePorts(
            configuration.publicAddresses,
            linkLoop: loop,
            limits: { PlaceLimits(connections: connections, flows: flows, dropped: dropped, fronts: fronts) },
            logger: logger
        )
        let service = ClusterService(
            record,
            setup,
            ports: ports,
            ownMember: { [weak self] claim in
                let clients = self?.state.withLock { $0.clients }
                return clients?.session(claim.session)?.member(claim.tunnel)
            },
            totals: resources.totals,
            metrics: metrics,
            on: loop,
            logger: logger
        )
        state.withLock { $0.service = service }
        return service
    }

    /// Listens for other servers, and joins the cluster.
    ///
    /// - Throws: ``ServerError``.
    func listen(for core: ServerCore, _ router: Router) async throws {
        let peers = try ServerCore(
            peerConfiguration,
            metrics: NOOPMetricsHandler.instance,
            peerHome: PeerHome(core, router),
            logger: logger
        )
        let endpoint = ServerEndpoint(peers, on: group, logger: logger) { _, _ in }
        let channels = try await endpoint.listen()
        let service = state.withLock { state in
            (state.core, state.channels, state.clients) = (peers, channels, core)
            return state.service
        }
        for port in channels.compactMap({ $0.localAddress?.port }) {
            core.resources.ports.note(own: UInt16(truncatingIfNeeded: port), use: "its address for other servers")
        }
        let url = setup.url ?? Self.url(channels.first?.localAddress, isSecure: setup.tls != nil)
        service?.start(at: url)
        logger.notice(
            "joins the cluster",
            metadata: ["server": "\(service?.id.description ?? "")", "peer_url": "\(url)"]
        )
    }

    /// The URL of a bound address.
    private static func url(_ address: SocketAddress?, isSecure: Bool) -> String {
        "\(isSecure ? "wss" : "ws")://\(address?.inShort ?? "")\(path)"
    }

    /// The configuration of the endpoint for other servers, whose clients are servers alone.
    private var peerConfiguration: ServerConfiguration {
        var peers = ServerConfiguration()
        peers.listen = [setup.listen]
        peers.path = Self.path
        peers.clients = setup.clients
        peers.allowedPorts = PortRanges(ranges: [])
        peers.tls = setup.tls
        peers.limits = configuration.limits.betweenServers
        peers.serverLimits = configuration.serverLimits
        peers.serverLimits.sessionsPerClient = Self.sessions
        return peers
    }

    /// The time between ``drain()`` and the end of all ports.
    var leavingTime: Duration { setup.leavingTime }

    /// Announces that this server accepts no further session.
    func drain() {
        state.withLock { $0.service }?.drain()
    }

    /// Sends clients to other servers whose sessions are elsewhere.
    func releaseCarriers() {
        state.withLock { $0.service }?.releaseCarriers()
    }

    /// Gives back the claims of all sessions, which drain from now on.
    func giveBack() {
        state.withLock { $0.service }?.giveBack()
    }

    /// Accepts no further visitor for other servers.
    ///
    /// - Returns: done once the visitors that are on their way to other servers have left, or if the task is cancelled.
    func finishVisitors() async {
        await state.withLock { $0.service }?.finishVisitors()
    }

    /// Leaves the cluster and ends the links of other servers.
    func stop() async {
        let (service, core, channels) = state.withLock { ($0.service, $0.core, $0.channels) }
        await service?.stop()
        core?.stop()
        for channel in channels { try? await channel.close() }
        for session in core?.liveSessions ?? [] {
            try? await session.end(Refusal(.goingAway, "the server is stopping")).get()
        }
    }
}
