import Logging
import Mux
import NIOCore
import NIOPosix
import ServiceLifecycle
import TunnelAdmin
import TunnelCore

/// The public end: takes WebSockets, opens public ports, and gives each visitor a stream to the client.
///
/// A `Service`: it runs until its task is cancelled or a graceful shutdown begins, then drains and returns.
public struct Server: Service {
    /// What happens that a script may want to know.
    public enum Event: Sendable {
        /// The endpoint accepts; the URL is what clients on this machine would dial.
        case listening(url: String, port: Int?)
        /// All addresses accept.
        case ready
        /// A new configuration is about to be taken over; ``ready`` follows, whatever comes of it.
        case reloading
        /// Nothing new is accepted any more, and what runs may end.
        case stopping
    }

    private let configuration: ServerConfiguration
    private let reloads: AsyncStream<ServerConfiguration>
    private let metrics: (@Sendable () -> String)?
    private let logger: Logger
    /// What the server's sessions hold now.
    public let memoryUse = MemoryUse()
    private let onEvent: @Sendable (Event) -> Void

    /// Prepares a server; nothing is bound before ``run()``.
    ///
    /// - Parameter reloads: configurations that take the first one's place while the server runs. Clients that are gone
    ///   from it are disconnected, everybody else's streams go on, and the addresses to listen on stay as they are.
    /// - Parameter metrics: the metrics as Prometheus reads them, for the admin server.
    public init(
        _ configuration: ServerConfiguration,
        reloads: AsyncStream<ServerConfiguration> = AsyncStream { $0.finish() },
        metrics: (@Sendable () -> String)? = nil,
        logger: Logger,
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.reloads = reloads
        self.metrics = metrics
        self.logger = logger
        self.onEvent = onEvent
    }

    /// Listens and serves.
    ///
    /// - Throws: ``ServerError`` when the configuration is unsound or an address cannot be bound.
    public func run() async throws {
        if let problem = configuration.problem { throw ServerError.configuration(problem) }
        let core: ServerCore
        do {
            core = try ServerCore(configuration, memoryUse: memoryUse, logger: logger)
        } catch {
            throw ServerError.configuration(unusable(configuration, error))
        }
        let admin = ServerAdmin(core)
        let adminServer = try await listenForOperator(admin, core)
        let channels: [any Channel]
        do {
            channels = try await listen(core, MultiThreadedEventLoopGroup.singleton)
        } catch {
            await adminServer?.stop()
            throw error
        }
        for port in channels.compactMap({ $0.localAddress?.port }) {
            core.registry.note(own: UInt16(truncatingIfNeeded: port), use: "its endpoint")
        }
        if case .tcp(_, let port)? = adminServer?.address { core.registry.note(own: port, use: "its admin address") }
        admin.listens()
        onEvent(.ready)
        warn(core)
        if configuration.isOpen {
            logger.warning("running without a token: every program on this machine may open public ports")
        }
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { for await new in reloads { await reload(core, new) } }
            tasks.addTask { await TLSIdentity.daily { warn(core) } }
            await withGracefulShutdownOrCancellation()
            tasks.cancelAll()
        }
        onEvent(.stopping)
        await stop(core, channels)
        await adminServer?.stop()
    }

    private func listenForOperator(_ admin: ServerAdmin, _ core: ServerCore) async throws -> AdminServer? {
        guard let address = configuration.admin else { return nil }
        let group = MultiThreadedEventLoopGroup.singleton
        do {
            return try await AdminServer.start(
                address,
                role: admin,
                metrics: metrics,
                group: group,
                limits: { core.configuration.serverLimits.admin },
                logger: logger
            )
        } catch {
            throw ServerError.bind(address, reason: address.bindFailureReason(error))
        }
    }

    private func reload(_ core: ServerCore, _ new: ServerConfiguration) async {
        onEvent(.reloading)
        defer { onEvent(.ready) }
        let old = core.configuration
        if let problem = new.problem {
            return logger.error("not reloaded, and nothing has changed", metadata: ["problem": "\(problem)"])
        }
        do {
            try await core.reload(new)
        } catch {
            let problem = unusable(new, error)
            return logger.error("not reloaded, and nothing has changed", metadata: ["problem": "\(problem)"])
        }
        let oldQueue = old.serverLimits.listenQueue
        if new.listen != old.listen || new.listenAccess != old.listenAccess || new.publicAddress != old.publicAddress
            || new.admin != old.admin
            || new.serverLimits.listenQueue != oldQueue
        {
            logger.warning("listen, listen_queue, public_address and admin change with a restart only")
        }
        logger.notice("reloaded", metadata: ["clients": "\(new.clients.count)"])
        warn(core)
    }

    /// Says which certificates of ours have expired or soon will.
    private func warn(_ core: ServerCore) {
        guard let tls = core.configuration.tls else { return }
        for warning in TLSIdentity.warnings(about: tls, now: WallClock.unixSeconds) { logger.warning("\(warning)") }
    }

    private func unusable(_ configuration: ServerConfiguration, _ error: any Error) -> String {
        if let problem = error as? CertificateProblem {
            return "the CA of clients: \(problem.sentence(of: "a client"))"
        }
        return configuration.tls.flatMap(TLSIdentity.problem) ?? error.userDescription
    }

    private func listen(_ core: ServerCore, _ group: any EventLoopGroup) async throws -> [any Channel] {
        var channels: [any Channel] = []
        for descriptor in configuration.openSockets {
            do {
                let channel = try await bootstrap(core, group, at: nil).withBoundSocket(descriptor).get()
                channels.append(channel)
                // NIO listens with a length of its own on a socket that it did not bind, before it looks at the option.
                SocketOptions.setListenQueue(configuration.serverLimits.listenQueue, of: descriptor)
                announce(channel, channel.localAddress?.inShort ?? "socket \(descriptor)", isUnix: false)
            } catch {
                for channel in channels { try? await channel.close() }
                throw ServerError.socket(descriptor, reason: ListenAddress.bindFailureReason(error))
            }
        }
        for address in configuration.openSockets.isEmpty ? configuration.listen : [] {
            do {
                let bound = try await bind(address, core, group)
                channels += bound
                for channel in bound {
                    let place = address.isUnix ? "\(address)" : channel.localAddress?.inShort ?? "\(address)"
                    announce(channel, place, isUnix: address.isUnix)
                }
            } catch {
                for channel in channels { try? await channel.close() }
                if let error = error as? ServerError { throw error }
                throw ServerError.bind(address, reason: address.bindFailureReason(error))
            }
        }
        return channels
    }

    private func announce(_ channel: any Channel, _ place: String, isUnix: Bool) {
        let scheme = configuration.tls == nil ? "ws" : "wss"
        let url = isUnix ? place : "\(scheme)://\(place)"
        logger.notice("listening", metadata: ["address": "\(place)", "version": "\(culvertVersion)"])
        if isUnix || channel.localAddress?.ip?.isLoopback == true { announceFronts(channel.localAddress) }
        onEvent(.listening(url: url + configuration.path, port: channel.localAddress?.port))
    }

    /// Says that clients behind a front on this machine are told apart only if the front is named.
    private func announceFronts(_ address: SocketAddress?) {
        let isNamed = configuration.trustedFronts.contains(address)
        // Without a token no client comes from outside.
        guard !isNamed, !configuration.clients.isEmpty else { return }
        logger.notice(
            "clients behind a front on this machine share one bound; name the front to tell them apart",
            metadata: ["flag": "--trusted-front \(address?.ip.map { "\($0)" } ?? "unix")"]
        )
    }

    private func bootstrap(
        _ core: ServerCore,
        _ group: any EventLoopGroup,
        at address: ListenAddress?
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: configuration.serverLimits.listenQueue))
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptGate())
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try core.prepare(channel) }
            }
    }

    private func bind(
        _ address: ListenAddress,
        _ core: ServerCore,
        _ group: any EventLoopGroup
    ) async throws -> [any Channel] {
        let bootstrap = bootstrap(core, group, at: address)
        switch address {
        case .tcp(let host, let port):
            let tcp = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            return [try await tcp.bind(host: host == "localhost" ? "127.0.0.1" : host, port: Int(port)).get()]
        case .unix(let path):
            // A socket file may be left over, or another server's: who answers keeps it.
            if let other = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get() {
                try? await other.close()
                throw ServerError.bind(address, reason: "another program answers there")
            }
            let length = Int32(clamping: configuration.serverLimits.listenQueue)
            let descriptor = try UnixListener.open(path, configuration.listenAccess, backlog: length)
            let channel = try await bootstrap.withBoundSocket(descriptor).get()
            SocketOptions.setListenQueue(configuration.serverLimits.listenQueue, of: descriptor)
            return [channel]
        }
    }

    /// Accepts nothing new, lets what runs end, and ends what does not.
    private func stop(_ core: ServerCore, _ channels: [any Channel]) async {
        core.stop()
        for channel in channels { try? await channel.close() }
        let sessions = core.liveSessions
        logger.notice("stopping", metadata: ["sessions": "\(sessions.count)"])
        // All come back, a hundred a second.
        let delay = UInt32(clamping: max(1, sessions.count / 100))
        let reason = Refusal(.goingAway, "the server is stopping", retryAfter: delay)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withTaskGroup(of: Void.self) { drains in
                    for session in sessions { drains.addTask { try? await session.drain(reason).get() } }
                }
            }
            group.addTask { try? await Task.sleep(for: core.configuration.drainTimeout) }
            await group.next()
            for session in core.liveSessions { try? await session.end(reason).get() }
            group.cancelAll()
        }
    }
}

/// Why a server did not start.
public enum ServerError: Error, Sendable, CustomStringConvertible {
    /// The configuration is unsound.
    case configuration(String)
    /// An address cannot be bound.
    case bind(ListenAddress, reason: String)
    /// A socket that was opened for the server cannot be used.
    case socket(Int32, reason: String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .configuration(let text): text
        case .bind(let address, let reason): "cannot listen on \(address): \(reason)"
        case .socket(let descriptor, let reason): "cannot listen on the socket handed over as \(descriptor): \(reason)"
        }
    }
}
