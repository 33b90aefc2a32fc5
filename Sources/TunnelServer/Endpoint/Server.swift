import ACME
import Logging
import Metrics
import Mux
import NIOCore
import NIOPosix
import ServiceLifecycle
import TunnelAdmin
import TunnelCore

/// A tunnel server: accepts clients' WebSockets, opens public ports, and gives each visitor a stream to its client.
///
/// A `Service`: it runs until its task is cancelled or a graceful shutdown begins. Then it drains and returns.
public struct Server: Service {
    /// An event for scripts and supervisors.
    public enum Event: Sendable {
        /// The endpoint accepts; clients on this machine dial the URL.
        case listening(url: String, port: Int?)
        /// All addresses accept.
        case ready
        /// A new configuration is being applied; ``ready`` follows, also if it is rejected.
        case reloading
        /// Nothing new is accepted, and the streams may finish.
        case stopping
    }

    private let configuration: ServerConfiguration
    private let reloads: AsyncStream<ServerConfiguration>
    private let readConfiguration: (@Sendable () throws -> ServerConfiguration)?
    private let metrics: (@Sendable () -> String)?
    private let eventLoopGroup: any EventLoopGroup
    private let metricsFactory: (any MetricsFactory)?
    private let logger: Logger
    /// The cluster that the server joins; nil for a server alone.
    package var cluster: ClusterSetup?
    private let onEvent: @Sendable (Event) -> Void
    /// The memory that the server's sessions hold now.
    public let memoryUse = MemoryUse()

    /// Prepares a server; ``run()`` binds its addresses.
    ///
    /// - Parameters:
    ///   - reloads: configurations that replace the first one while the server runs. Clients that are missing in the new
    ///     one are disconnected; streams of the others continue. Listening addresses do not change.
    ///   - readConfiguration: reads the configuration again, when an operator asks for it at the admin socket.
    ///   - metrics: returns the metrics in Prometheus' text format, for the admin server.
    ///   - eventLoopGroup: the event loops of all connections and of the admin server. The caller shuts them down.
    ///   - metricsFactory: the backend of this server's metrics; the process's own by default.
    ///   - onEvent: called for each event, on any thread.
    public init(
        _ configuration: ServerConfiguration,
        reloads: AsyncStream<ServerConfiguration> = AsyncStream { $0.finish() },
        readConfiguration: (@Sendable () throws -> ServerConfiguration)? = nil,
        metrics: (@Sendable () -> String)? = nil,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        metricsFactory: (any MetricsFactory)? = nil,
        logger: Logger,
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.reloads = reloads
        self.readConfiguration = readConfiguration
        self.metrics = metrics
        self.eventLoopGroup = eventLoopGroup
        self.metricsFactory = metricsFactory
        self.logger = logger
        self.onEvent = onEvent
    }

    /// Listens and serves.
    ///
    /// - Throws: ``ServerError`` if the configuration cannot be used or an address cannot be bound.
    public func run() async throws {
        if let problem = configuration.problem { throw ServerError.configuration(problem) }
        let core: ServerCore
        let member: ClusterMember?
        do {
            let factory = metricsFactory ?? MetricsSystem.factory
            member = cluster.map {
                ClusterMember($0, configuration, on: eventLoopGroup, metrics: factory, logger: logger)
            }
            core = try ServerCore(
                configuration,
                memoryUse: memoryUse,
                metrics: factory,
                cluster: member.map { member in { member.service(for: $0) } },
                logger: logger
            )
        } catch {
            if let error = error as? ServerError { throw error }
            throw ServerError.configuration(unusable(configuration, error))
        }
        core.resources.totals.metrics.publish(role: "server")
        core.resources.metrics.reloads.note(isApplied: true)
        let queue = ReloadQueue(read: readConfiguration)
        let admin = ServerAdmin(core, queue)
        let adminServer = try await startAdminServer(admin, core)
        let router = Router(core, logger: logger)
        let channels: [any Channel]
        do {
            try await member?.listen(for: core, router)
            channels = try await listen(core, router, adminServer)
        } catch {
            await member?.stop()
            await adminServer?.stop()
            throw error
        }
        admin.listens()
        onEvent(.ready)
        warnOfExpiringCertificates(core)
        if configuration.isOpen {
            logger.warning("running without a token: every program on this machine may open public ports")
        }
        await serve(core, queue)
        onEvent(.stopping)
        if let member {
            // Load balancers see it, and send visitors and clients to other servers.
            admin.leaves()
            member.drain()
            logger.notice("stops soon", metadata: ["in": .time(member.leavingTime)])
            try? await Task.sleep(for: member.leavingTime)
        }
        await stop(core, router, channels, member)
        await member?.stop()
        await adminServer?.stop()
    }

    private func startAdminServer(_ admin: ServerAdmin, _ core: ServerCore) async throws -> AdminServer? {
        do throws(AdminServer.BindFailure) {
            return try await AdminServer.start(
                configuration.admin,
                role: admin,
                metrics: metrics,
                group: eventLoopGroup,
                limits: { core.configuration.serverLimits.admin },
                logger: logger
            )
        } catch {
            throw ServerError.bind(error.address, reason: error.reason)
        }
    }

    /// Listens, and notes the server's own ports so that refusals can name their use.
    private func listen(
        _ core: ServerCore,
        _ router: Router,
        _ adminServer: AdminServer?
    ) async throws -> [any Channel] {
        let endpoint = ServerEndpoint(core, on: eventLoopGroup, logger: logger) { url, port in
            onEvent(.listening(url: url, port: port))
        }
        let channels = try await endpoint.listen()
        let directory = core.resources.ports
        for port in channels.compactMap({ $0.localAddress?.port }) {
            directory.note(own: UInt16(truncatingIfNeeded: port), use: "its endpoint")
        }
        let listeners = RouterListeners(router, on: eventLoopGroup, logger: logger)
        let names: [any Channel]
        do {
            names = try await listeners.listen { url, port in onEvent(.listening(url: url, port: port)) }
        } catch {
            for channel in channels { try? await channel.close() }
            throw error
        }
        prepareCertificates(core)
        for port in names.compactMap({ $0.localAddress?.port }) {
            directory.note(own: UInt16(truncatingIfNeeded: port), use: "its address for names")
        }
        for case .unix(let path) in configuration.httpListen + configuration.httpsListen {
            directory.note(ownPath: path)
        }
        for case .unix(let path) in configuration.listen { directory.note(ownPath: path) }
        for address in adminServer?.addresses ?? [] {
            switch address {
            case .tcp(_, let port): directory.note(own: port, use: "its admin address")
            case .unix(let path): directory.note(ownPath: path)
            }
        }
        return channels + names
    }

    /// Wants certificates for the names that are public, and for the endpoint's own.
    private func prepareCertificates(_ core: ServerCore) {
        guard let acme = core.acme else { return }
        var ways: Set<ChallengeKind> = []
        if !configuration.httpListen.isEmpty { ways.insert(.http01) }
        if !configuration.httpsListen.isEmpty { ways.insert(.tlsALPN01) }
        acme.offer(ways)
        guard !configuration.httpsListen.isEmpty else { return }
        core.resources.routes.observe { [weak core] name, isPublic, owner in
            core?.nameChanged(name, isPublic: isPublic, owner: owner)
        }
        if let own = configuration.endpointHost {
            core.nameChanged(own.description, isPublic: true, owner: nil)
        }
    }

    /// Applies reloads and watches certificates until the server is to stop.
    private func serve(_ core: ServerCore, _ queue: ReloadQueue<ServerConfiguration>) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await queue.run(reloads) { await reload(core, $0) } }
            if let acme = core.acme { tasks.addTask { await acme.run() } }
            tasks.addTask { await TLSIdentity.daily { warnOfExpiringCertificates(core) } }
            await withGracefulShutdownOrCancellation()
            tasks.cancelAll()
        }
        await queue.stop()
    }

    // MARK: Reload

    private func reload(_ core: ServerCore, _ new: ServerConfiguration) async -> ReloadResult {
        onEvent(.reloading)
        defer { onEvent(.ready) }
        let old = core.configuration
        if let problem = new.problem { return reject(core, problem) }
        do {
            try await core.reload(new)
        } catch {
            return reject(core, unusable(new, error))
        }
        let result = ReloadChanges.result(from: old, to: new)
        if !result.restart.isEmpty {
            logger.warning(
                "listening addresses, listen_queue, public_address, admin, encryption, key_file and [acme] change with a restart only"
            )
        }
        core.resources.metrics.reloads.note(isApplied: true)
        logger.notice("reloaded", metadata: ["clients": .number(new.clients.count)])
        warnOfExpiringCertificates(core)
        return result
    }

    private func reject(_ core: ServerCore, _ problem: String) -> ReloadResult {
        core.resources.metrics.reloads.note(isApplied: false)
        logger.error("not reloaded, and nothing has changed", metadata: ["problem": "\(problem)"])
        return ReloadResult(problem: problem)
    }

    /// Logs the server's certificates that have expired or soon will.
    private func warnOfExpiringCertificates(_ core: ServerCore) {
        guard let tls = core.configuration.tls else { return }
        for warning in TLSIdentity.warnings(about: tls, now: WallClock.unixSeconds) { logger.warning("\(warning)") }
    }

    private func unusable(_ configuration: ServerConfiguration, _ error: any Error) -> String {
        if let problem = error as? CertificateProblem {
            return "the CA of clients: \(problem.sentence(of: "a client"))"
        }
        return configuration.tls.flatMap(TLSIdentity.problem) ?? error.userDescription
    }

    // MARK: Stop

    /// Accepts nothing new, lets streams finish, and ends those that do not finish in time.
    private func stop(
        _ core: ServerCore,
        _ router: Router,
        _ channels: [any Channel],
        _ member: ClusterMember?
    ) async {
        core.stop()
        member?.giveBack()
        let visitors = router.drain()
        for channel in channels { try? await channel.close() }
        member?.releaseCarriers()
        let sessions = core.liveSessions
        logger.notice("stopping", metadata: ["sessions": .number(sessions.count)])
        // All clients return, a hundred a second. Other servers of a cluster take them at once.
        let delay = UInt32(clamping: max(cluster == nil ? 1 : 0, sessions.count / 100))
        let reason = Refusal(.goingAway, "the server is stopping", retryAfter: delay)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withTaskGroup(of: Void.self) { drains in
                    for session in sessions { drains.addTask { try? await session.drain(reason).get() } }
                    drains.addTask { for visitor in visitors { try? await visitor.closeFuture.get() } }
                    drains.addTask { await member?.finishVisitors() }
                }
            }
            group.addTask { try? await Task.sleep(for: core.configuration.drainTimeout) }
            await group.next()
            for session in core.liveSessions { try? await session.end(reason).get() }
            // The wait for them cannot be cancelled.
            for visitor in visitors { visitor.close(promise: nil) }
            group.cancelAll()
        }
    }
}
