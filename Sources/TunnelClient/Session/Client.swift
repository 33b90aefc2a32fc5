import Logging
import Metrics
import Mux
import NIOCore
import NIOPosix
import NetworkAddress
import ServiceLifecycle
import TunnelAdmin
import TunnelCore

/// A client: publishes local services at a server, and reconnects whenever the connection is lost.
///
/// It runs until its task is cancelled or a graceful shutdown begins, and then drains. It ends with an error if a server
/// or proxy refuses it for good.
public struct Client: Service {
    /// Events for scripts.
    public enum Event: Sendable {
        /// A tunnel is public, at this URL; again after every new session.
        case tunnel(url: String, service: String)
        /// A forward listens, at this address or URL.
        case forward(address: String, service: String)
    }

    let configuration: ClientConfiguration
    private let renewals: AsyncStream<Void>
    private let reloads: AsyncStream<ClientConfiguration>
    private let readConfiguration: (@Sendable () throws -> ClientConfiguration)?
    private let metrics: (@Sendable () -> String)?
    private let group: any EventLoopGroup
    private let metricsFactory: (any MetricsFactory)?
    /// Bytes that the client's sessions hold now.
    public let memoryUse = MemoryUse()
    /// The tunnels, to which others can be added while the client runs.
    public let tunnels: TunnelSet
    /// The forwards, to which others can be added while the client runs.
    public let forwards: ForwardSet
    let logger: Logger
    let onEvent: @Sendable (Event) -> Void
    /// Seconds since 1970. Set by tests alone, which cannot make a machine sleep.
    var wallClock: @Sendable () -> Int64 = { WallClock.unixSeconds }
    /// The resolver of names. Set by tests alone.
    var names = HostNames.shared
    /// The token with its keys, whose derivation takes a while; nil to derive them from the configuration.
    var credentials: ClientCredentials?
    /// What dials share with those of other clients; nil for a run's own.
    var context: DialContext?
    /// Learns of the run's sessions, if the client is a server of a cluster.
    var peerOwner: NIOLoopBound<any PeerConnectionOwner>?

    /// Prepares a client, which dials once ``run()`` is called.
    ///
    /// - Parameters:
    ///   - renewals: each element makes the client dial a new carrier for its session, whose streams continue.
    ///   - reloads: each element replaces the tunnels, the forwards and the token. The session and its streams go on.
    ///   - readConfiguration: reads the configuration again, when an operator asks for it at the admin socket.
    ///   - group: the event loops, of which a client uses one for its sessions.
    ///   - metricsFactory: the backend of this client's metrics; the process's own by default.
    ///   - metrics: returns the metrics as Prometheus reads them, for the admin server.
    public init(
        _ configuration: ClientConfiguration,
        renewals: AsyncStream<Void> = AsyncStream { $0.finish() },
        reloads: AsyncStream<ClientConfiguration> = AsyncStream { $0.finish() },
        readConfiguration: (@Sendable () throws -> ClientConfiguration)? = nil,
        eventLoopGroup group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        metricsFactory: (any MetricsFactory)? = nil,
        metrics: (@Sendable () -> String)? = nil,
        logger: Logger,
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.renewals = renewals
        self.reloads = reloads
        self.readConfiguration = readConfiguration
        self.group = group
        self.metricsFactory = metricsFactory
        self.tunnels = TunnelSet(configuration.tunnels)
        self.forwards = ForwardSet(configuration.forwards)
        self.metrics = metrics
        self.logger = logger
        self.onEvent = onEvent
    }

    /// Dials, serves, and dials again.
    ///
    /// - Throws: ``ClientError`` if the client is refused for good, or gives up.
    public func run() async throws {
        defer { configuration.socketForward?.closeIfUnused() }
        let context = context ?? DialContext(configuration, names: names, logger: logger)
        do {
            if configuration.endpoints.contains(where: \.isSecure) { try context.tls.prepare() }
        } catch let problem as CertificateProblem {
            throw ClientError.configuration(problem.sentence(of: "the server"))
        } catch {
            throw ClientError.configuration(TLSIdentity.problem(of: configuration.tls) ?? error.userDescription)
        }
        warnOfPlainEndpoints()
        warnOfCertificates()
        let factory = metricsFactory ?? MetricsSystem.factory
        let clientMetrics = ClientMetrics(factory: factory)
        clientMetrics.reloads.note(isApplied: true)
        let loop = group.next()
        let totals = TrafficTotals(
            loggedStreams: configuration.clientLimits.visitorLogLines,
            metrics: TunnelMetrics(factory: factory)
        )
        totals.metrics.publish(role: "client")
        let (ends, end) = AsyncStream.makeStream(of: ForwardEnd.self)
        let listeners = try await loop.submit { makeListeners(loop, totals, end) }.get()
        let runs = makeRuns(loop, context, totals, listeners)
        let current = CurrentSessions(all: runs.map(\.current))
        let queue = ReloadQueue(read: readConfiguration)
        let spread = runs[0].dialler.part?.spread
        tunnels.observe { for session in current.sessions { session.tunnelsChanged() } }
        spread?.observe { for session in current.sessions { session.tunnelsChanged() } }
        defer { spread?.observe {} }
        forwards.observe { loop.execute { listeners.value.forwardsChanged() } }
        loop.execute { listeners.value.start() }
        let admin = try await startAdmin(
            ClientAdmin(
                current,
                queue,
                RunProgress(
                    parts: runs.map(\.dialler.progress),
                    tunnels: tunnels,
                    spread: spread
                ),
                totals,
                runs[0].dialler.memory,
                clientMetrics,
                listeners,
                tls: [("client", configuration.tls), ("proxy", configuration.proxyTLS)]
            )
        )
        do {
            try await run(runs, current, clientMetrics, ends, queue)
            await queue.stop()
            await stop(admin, listeners)
        } catch {
            await queue.stop()
            await stop(admin, listeners)
            throw error
        }
    }

    private func stop(_ admin: AdminServer?, _ listeners: NIOLoopBound<ForwardListeners>) async {
        await admin?.stop()
        try? await listeners.eventLoop.submit { listeners.value.stop() }.get()
    }

    private func run(
        _ runs: [SessionRun],
        _ current: CurrentSessions,
        _ metrics: ClientMetrics,
        _ ends: AsyncStream<ForwardEnd>,
        _ queue: ReloadQueue<ClientConfiguration>
    ) async throws {
        let failure = RunFailure()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await watch(ends, current, failure) }
            tasks.addTask { try await keepSessions(runs, metrics) }
            tasks.addTask {
                await queue.run(reloads) { new in
                    let result = reload(new, runs[0].dialler, current)
                    metrics.reloads.note(isApplied: true)
                    return result
                }
                while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
            }
            tasks.addTask {
                for await _ in renewals { current.renew() }
                // The stream of renewals may end before the client does.
                while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
            }
            tasks.addTask { await watchSleep(current) }
            tasks.addTask { await TLSIdentity.daily { warnOfCertificates() } }
            tasks.addTask {
                await withGracefulShutdownOrCancellation()
                await stop(current.stop())
            }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
        // The loop that dials may have ended first, since the session is over.
        if let error = failure.error { throw error }
    }

    /// Replaces the tunnels, the forwards, the rules of SOCKS tunnels and the token. A wait between dials ends, and refused ports are asked for again.
    ///
    /// - Returns: what has changed.
    private func reload(
        _ new: ClientConfiguration,
        _ dialler: Dialler,
        _ current: CurrentSessions
    ) -> ReloadResult {
        let wanted = tunnels.entries.filter { !$0.isRemoved }.map(\.spec)
        var changes = ClientReload.changes(from: wanted, to: new.tunnels, "tunnel -R")
        changes += ClientReload.changes(from: forwards.all, to: new.forwards, "forward")
        dialler.openRules.update(new.openDestinations)
        let isComplete = tunnels.replace(with: new.tunnels)
        forwards.replace(with: new.forwards)
        for session in current.sessions { session.openRulesChanged() }
        var metadata: Logger.Metadata = [
            "tunnels": .number(new.tunnels.count), "forwards": .number(new.forwards.count),
        ]
        if dialler.credentials.update(new.token) {
            metadata["token"] = "the next session uses the new one"
            changes.append("another token, which the next session uses")
        }
        var result = ReloadResult(changes: changes, restart: ClientReload.restart(from: configuration, to: new))
        if !isComplete {
            let problem = "this run has used up its numbers of tunnels; restart the client"
            metadata["problem"] = "\(problem)"
            result.restart.append(problem)
        }
        logger.notice("reloaded", metadata: metadata)
        noteUnshared(new.tunnels.filter { !wanted.contains($0) })
        current.endWaits()
        return result
    }

    private func warnOfPlainEndpoints() {
        guard configuration.encryption == .off else { return }
        for endpoint in configuration.endpoints
        where !endpoint.isSecure && !isLoopback(configuration.connectTo?.host ?? endpoint.host) {
            logger.warning(
                "ws:// without TLS and without a seal: any machine on the way can read and alter what the tunnel carries; use --encryption auto, or wss://",
                metadata: ["url": "\(endpoint)"]
            )
        }
    }

    /// Reports our own certificates that have expired or soon will.
    private func warnOfCertificates() {
        for (flag, tls) in [("--tls-certificate", configuration.tls), ("--proxy-certificate", configuration.proxyTLS)] {
            for warning in TLSIdentity.warnings(about: tls, now: WallClock.unixSeconds) {
                logger.warning("\(warning)", metadata: ["given_by": "\(flag)"])
            }
        }
    }

    /// Pings the server as soon as the machine has slept.
    private func watchSleep(_ current: CurrentSessions) async {
        var detector = SleepDetector()
        while !Task.isCancelled {
            let sessions = current.sessions
            if detector.check(wall: wallClock(), monotonic: .now), !sessions.isEmpty {
                logger.notice("the machine has slept, or its clock was set; pinging the server")
                for session in sessions { session.probe(within: SleepDetector.pingTimeout) }
            }
            do {
                try await Task.sleep(for: SleepDetector.period)
            } catch {
                return
            }
        }
    }

    private func startAdmin(_ admin: ClientAdmin) async throws -> AdminServer? {
        do throws(AdminServer.BindFailure) {
            return try await AdminServer.start(
                configuration.admin,
                role: admin,
                metrics: metrics,
                group: group,
                limits: { [limits = configuration.clientLimits.admin] in limits },
                logger: logger
            )
        } catch {
            throw ClientError.configuration("cannot listen on \(error.address): \(error.reason)")
        }
    }

    /// Lets the streams end, and ends those that do not in time.
    func stop(_ sessions: [ClientSessionHandle]) async {
        guard !sessions.isEmpty else { return }
        logger.notice("stopping")
        for session in sessions { session.drain() }
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { for session in sessions { _ = try? await session.ended.get() } }
            tasks.addTask {
                // The sleep is cancelled if the sessions have ended by themselves, or if the client's task is cancelled.
                try? await Task.sleep(for: configuration.drainTimeout)
                for session in sessions { session.end() }
            }
            await tasks.next()
            tasks.cancelAll()
        }
    }
}
