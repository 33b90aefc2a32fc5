import Logging
import Mux
import NIOCore
import NIOPosix
import ProxyConnect
import ServiceLifecycle
import Synchronization

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
    private let metrics: (@Sendable () -> String)?
    private let logger: Logger
    private let onEvent: @Sendable (Event) -> Void

    /// Prepares a client; nothing is dialled before ``run()``.
    ///
    /// - Parameter metrics: the metrics as Prometheus reads them, for the admin server.
    public init(
        _ configuration: ClientConfiguration,
        metrics: (@Sendable () -> String)? = nil,
        logger: Logger,
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.metrics = metrics
        self.logger = logger
        self.onEvent = onEvent
    }

    /// Dials, serves, and dials again.
    ///
    /// - Throws: ``ClientError`` when the client was refused for good, or gives up.
    public func run() async throws {
        let context = DialContext(
            tls: TLSForClients(configuration.tls),
            proxyTLS: TLSForClients(configuration.proxyTLS),
            logger: logger
        )
        do {
            if configuration.endpoints.contains(where: \.isSecure) { try context.tls.prepare() }
        } catch {
            throw ClientError.configuration("the trust store cannot be read: \(error)")
        }
        for endpoint in configuration.endpoints where !endpoint.isSecure && !isLoopback(endpoint.host) {
            logger.warning(
                "ws:// without TLS: everybody on the way can read and alter what the tunnel carries; use wss://",
                metadata: ["url": "\(endpoint)"]
            )
        }
        let dialler = Dialler(
            configuration: configuration,
            credentials: (configuration.token ?? .none).credentials(),
            loop: MultiThreadedEventLoopGroup.singleton.next(),
            context: context,
            totals: TrafficTotals()
        )
        let current = CurrentSession()
        let admin = try await listenForOperator(ClientAdmin(current, dialler.totals))
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
                var reconnecting = Reconnecting(dialler: dialler, logger: logger, onEvent: onEvent)
                try await reconnecting.run(current)
            }
            tasks.addTask {
                await withGracefulShutdownOrCancellation()
                if let session = current.stop() { await stop(session) }
            }
            defer { tasks.cancelAll() }
            try await tasks.next()
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
            throw ClientError.configuration("\(ServerError.bind(address, reason: Server.reason(error)))")
        }
    }

    /// Lets the streams end, and ends those that do not in time.
    private func stop(_ session: LiveSession) async {
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
    private let stored = Mutex<(session: LiveSession?, isStopping: Bool)>((nil, false))

    /// The session that stands; nil while there is none.
    var session: LiveSession? { stored.withLock { $0.session } }

    /// Whether none is wanted any more.
    var isStopping: Bool { stored.withLock { $0.isStopping } }

    /// A session stands, or none; false where the client is stopping and wants none.
    func hold(_ session: LiveSession?) -> Bool {
        stored.withLock { stored in
            stored.session = session
            return !stored.isStopping
        }
    }

    /// No further session is wanted; the one that stands is to be ended.
    func stop() -> LiveSession? {
        stored.withLock { stored in
            stored.isStopping = true
            return stored.session
        }
    }
}

/// The loop of dialling, holding and dialling again.
private struct Reconnecting {
    let dialler: Dialler
    let logger: Logger
    let onEvent: @Sendable (Client.Event) -> Void
    private var backoff = Backoff()
    private var hasWorked = false
    private var ways = DialWays()

    init(dialler: Dialler, logger: Logger, onEvent: @escaping @Sendable (Client.Event) -> Void) {
        self.dialler = dialler
        self.logger = logger
        self.onEvent = onEvent
    }

    /// Returns when its task is cancelled.
    ///
    /// - Throws: ``ClientError``.
    mutating func run(_ current: CurrentSession) async throws {
        while !Task.isCancelled {
            backoff.dialled(now: .now)
            let wait: Duration
            do {
                let session = try await dial()
                hasWorked = true
                if !current.hold(session) { session.end() }
                let end = try await session.ended.get()
                guard current.hold(nil), !Task.isCancelled else { return }
                wait = try afterSession(end)
            } catch let error as DialError {
                guard !Task.isCancelled else { return }
                wait = try afterFailure(error)
            }
            do {
                try await Task.sleep(for: wait)
            } catch {
                return
            }
        }
    }

    /// Tries every endpoint by every way, in order, but the way that worked last first of all.
    private mutating func dial() async throws(DialError) -> LiveSession {
        var last: DialError?
        var leftOut: DialError?
        for way in try await ways.inOrder(dialler.configuration) {
            var withheld: DialError?
            switch ways.permission(for: way, dialler.configuration, now: .now) {
            case .asItIs: break
            case .withoutCredentials(let refusal): withheld = refusal
            case .notNow(let refusal):
                leftOut = refusal
                continue
            }
            if let last { logger.warning("\(last)") }
            do throws(DialError) {
                let session = try await dialler.dial(
                    way.endpoint,
                    way.choice,
                    withholdsCredentials: withheld != nil
                ) { [onEvent] forward, binding in
                    onEvent(.tunnel(url: binding.url(way.endpoint), service: forward.service))
                }
                ways.worked(way)
                return session
            } catch {
                if let withheld, error.hop == .proxy, error.disposition == .refusedAtFirst {
                    leftOut = withheld
                    continue
                }
                // A proxy that has refused the credentials is not asked again, nor is another with the same ones:
                // accounts get locked. One without them may let us through.
                guard error.disposition != .refused || error.hop == .proxy else { throw error }
                if error.disposition == .refused { ways.refused(way, error, dialler.configuration, now: .now) }
                // One that may be reached later decides, whatever the others say.
                if last == nil || error.disposition == .retry || last?.disposition != .retry { last = error }
            }
        }
        guard var error = last else { throw leftOut ?? ways.nowhere }
        if let leftOut, let proxy = leftOut.proxy, error.disposition != .refused {
            error.answer += " (the proxy \(proxy) has refused the credentials and is left out for half an hour)"
        }
        throw error
    }

    private mutating func afterSession(_ end: LiveSession.End) throws(ClientError) -> Duration {
        if let refused = end.refused { throw .refused(refused) }
        backoff.sessionStood()
        guard dialler.configuration.maximumRetries != 0 else { throw .unreachable("session lost: \(end.description)") }
        let unit = Double.random(in: 0...1)
        let wait =
            end.isViolation
            ? backoff.failed(unit: unit, wish: nil, now: .now)
            : backoff.lost(
                held: end.held,
                unit: unit,
                wish: end.retryAfter.map { .seconds(Int64($0)) },
                now: .now
            )
        logger.warning(
            "session lost; dialling again",
            metadata: ["reason": "\(end.description)", "in": "\(wait.inShort)"]
        )
        return wait
    }

    private mutating func afterFailure(_ error: DialError) throws(ClientError) -> Duration {
        TunnelMetrics.failedDial(error.hop)
        switch error.disposition {
        case .refused: throw .refused(error.description)
        case .refusedAtFirst where !hasWorked: throw .refused(error.description)
        case .notOurs: throw .notOurs(error.description)
        case .notOursAtFirst where !hasWorked: throw .notOurs(error.description)
        case .configuration: throw .configuration(error.description)
        case .retry, .refusedAtFirst, .notOursAtFirst: break
        }
        let wait = backoff.failed(
            unit: .random(in: 0...1),
            wish: error.retryAfter.map { .seconds($0) },
            now: .now
        )
        if let most = dialler.configuration.maximumRetries, backoff.triesSinceSession > most {
            throw .unreachable(error.description)
        }
        logger.warning("\(error)", metadata: ["again_in": "\(wait.inShort)"])
        return wait
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
