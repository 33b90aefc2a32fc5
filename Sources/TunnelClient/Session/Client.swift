import Logging
import Mux
import NIOCore
import NIOPosix
import NetworkAddress
import ServiceLifecycle
import Synchronization
import TunnelAdmin
import TunnelCore

/// The end beside the services: keeps a session with the server, and comes back whenever it is lost.
///
/// A `Service`: it runs until its task is cancelled or a graceful shutdown begins, then drains and returns; or until
/// somebody refuses it for good.
public struct Client: Service {
    /// What happens that a script may want to know.
    public enum Event: Sendable {
        /// A tunnel is public, at this URL; again after every new session.
        case tunnel(url: String, service: String)
    }

    private let configuration: ClientConfiguration
    private let renewals: AsyncStream<Void>
    private let metrics: (@Sendable () -> String)?
    /// What the client's sessions hold now.
    public let memoryUse = MemoryUse()
    private let logger: Logger
    private let onEvent: @Sendable (Event) -> Void
    /// Seconds since 1970. Set by tests alone, which cannot make a machine sleep.
    var wallClock: @Sendable () -> Int64 = { WallClock.unixSeconds }
    /// Where names are looked up. Set by tests alone.
    var names = HostNames.shared

    /// Prepares a client; nothing is dialled before ``run()``.
    ///
    /// - Parameters:
    ///   - renewals: each makes the client dial a new carrier for its session, whose streams go on.
    ///   - metrics: the metrics as Prometheus reads them, for the admin server.
    public init(
        _ configuration: ClientConfiguration,
        renewals: AsyncStream<Void> = AsyncStream { $0.finish() },
        metrics: (@Sendable () -> String)? = nil,
        logger: Logger,
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.renewals = renewals
        self.metrics = metrics
        self.logger = logger
        self.onEvent = onEvent
    }

    /// Dials, serves, and dials again.
    ///
    /// - Throws: ``ClientError`` when the client was refused for good, or gives up.
    public func run() async throws {
        let context = DialContext(configuration, names: names, logger: logger)
        do {
            if configuration.endpoints.contains(where: \.isSecure) { try context.tls.prepare() }
        } catch let problem as CertificateProblem {
            throw ClientError.configuration(problem.sentence(of: "the server"))
        } catch {
            throw ClientError.configuration(TLSIdentity.problem(of: configuration.tls) ?? error.userDescription)
        }
        for endpoint in configuration.endpoints
        where !endpoint.isSecure && !isLoopback(configuration.connectTo?.host ?? endpoint.host) {
            logger.warning(
                "ws:// without TLS: everybody on the way can read and alter what the tunnel carries; use wss://",
                metadata: ["url": "\(endpoint)"]
            )
        }
        warnOfCertificates()
        let dialler = Dialler(
            configuration: configuration,
            credentials: (configuration.token ?? .none).credentials(),
            loop: MultiThreadedEventLoopGroup.singleton.next(),
            context: context,
            totals: TrafficTotals(loggedStreams: configuration.clientLimits.visitorLogLines),
            memory: MemoryBudget(capacity: configuration.clientLimits.memory, use: memoryUse),
            progress: ClientProgress(tunnels: configuration.forwards.map(\.description))
        )
        let current = CurrentSession(waits: dialler.waits)
        let admin = try await listenForOperator(
            ClientAdmin(current, dialler.progress, dialler.totals, dialler.memory)
        )
        do {
            try await run(dialler, current)
            await admin?.stop()
        } catch {
            await admin?.stop()
            throw error
        }
    }

    private func run(_ dialler: Dialler, _ current: CurrentSession) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                var reconnecting = ReconnectLoop(dialler: dialler, logger: logger, onEvent: onEvent)
                do {
                    try await reconnecting.run(current)
                } catch {
                    current.session?.end()
                    throw error
                }
            }
            tasks.addTask {
                for await _ in renewals { current.renew() }
                // The end of the wishes is not the client's.
                while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
            }
            tasks.addTask { await watchSleep(current) }
            tasks.addTask { await TLSIdentity.daily { warnOfCertificates() } }
            tasks.addTask {
                await withGracefulShutdownOrCancellation()
                if let session = current.stop() { await stop(session) }
            }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }

    /// Says which certificates of ours have expired or soon will.
    private func warnOfCertificates() {
        for (flag, tls) in [("--tls-certificate", configuration.tls), ("--proxy-certificate", configuration.proxyTLS)] {
            for warning in TLSIdentity.warnings(about: tls, now: WallClock.unixSeconds) {
                logger.warning("\(warning)", metadata: ["given_by": "\(flag)"])
            }
        }
    }

    /// Asks for a sign of life as soon as the machine has slept.
    private func watchSleep(_ current: CurrentSession) async {
        var watch = SleepDetector()
        while !Task.isCancelled {
            if watch.look(wall: wallClock(), monotonic: .now), let session = current.session {
                logger.notice("the machine has slept, or its clock was set; asking for a sign of life")
                session.probe(within: SleepDetector.patience)
            }
            do {
                try await Task.sleep(for: SleepDetector.period)
            } catch {
                return
            }
        }
    }

    private func listenForOperator(_ admin: ClientAdmin) async throws -> AdminServer? {
        guard let address = configuration.admin else { return nil }
        let group = MultiThreadedEventLoopGroup.singleton
        do {
            return try await AdminServer.start(
                address,
                role: admin,
                metrics: metrics,
                group: group,
                limits: { [limits = configuration.clientLimits.admin] in limits },
                logger: logger
            )
        } catch {
            throw ClientError.configuration("cannot listen on \(address): \(address.bindFailureReason(error))")
        }
    }

    /// Lets the streams end, and ends those that do not in time.
    private func stop(_ session: ClientSessionHandle) async {
        logger.notice("stopping")
        session.drain()
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { _ = try? await session.ended.get() }
            tasks.addTask {
                // Cut short where the session has ended by itself, and where whoever runs the client waits no longer.
                try? await Task.sleep(for: configuration.drainTimeout)
                session.end()
            }
            await tasks.next()
            tasks.cancelAll()
        }
    }
}

/// The session that stands now, shared between the loop that dials and the one that waits for the end.
final class CurrentSession: Sendable {
    private let stored = Mutex<(session: ClientSessionHandle?, isStopping: Bool)>((nil, false))
    private let waits: DialWaits

    init(waits: DialWaits = DialWaits()) {
        self.waits = waits
    }

    /// Ends all waits: dials another carrier for the session that stands, or what would have been dialled later, and asks
    /// again for refused ports.
    func renew() {
        if let session {
            session.renew("asked for")
            session.askForPorts()
        }
        waits.end()
    }

    /// The session that stands; nil while there is none.
    var session: ClientSessionHandle? { stored.withLock { $0.session } }

    /// Whether none is wanted any more.
    var isStopping: Bool { stored.withLock { $0.isStopping } }

    /// A session stands, or none; false where the client is stopping and wants none.
    func hold(_ session: ClientSessionHandle?) -> Bool {
        stored.withLock { stored in
            stored.session = session
            return !stored.isStopping
        }
    }

    /// No further session is wanted; the one that stands is to be ended.
    func stop() -> ClientSessionHandle? {
        stored.withLock { stored in
            stored.isStopping = true
            return stored.session
        }
    }
}

extension Binding {
    /// Where the public finds the tunnel: at the server's own name, where the port is on all addresses of a family by
    /// which that can be reached; else at the first address that it is on.
    func url(_ endpoint: EndpointURL) -> String {
        let addresses = address.split(separator: " ").map(String.init)
        let families =
            switch IPAddress(endpoint.host) {
            case .v4?: ["0.0.0.0"]
            case .v6?: ["::"]
            case nil: ["0.0.0.0", "::"]
            }
        let isForAll = addresses.contains(where: families.contains)
        let host = isForAll ? endpoint.host : addresses.first ?? endpoint.host
        return "tcp://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}

/// Why a client ended for good.
public enum ClientError: Error, Sendable, CustomStringConvertible {
    /// Somebody said no: token, port, proxy credentials.
    case refused(String)
    /// The other side does not speak our protocol.
    case notOurs(String)
    /// Nobody was reached within the tries that were allowed.
    case unreachable(String)
    /// What the client was told cannot work.
    case configuration(String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .refused(let text), .notOurs(let text), .unreachable(let text), .configuration(let text): text
        }
    }
}
