import Logging
import Mux
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TunnelAdmin
import TunnelCore
import WebSocket

/// What all of a server's connections share, whatever loop they live on.
final class ServerCore: Sendable {
    /// What a reload replaces, all at once.
    private struct Settings {
        let configuration: ServerConfiguration
        let authenticator: Authenticator
        let tls: TLSForServer?

        init(_ configuration: ServerConfiguration) throws {
            self.configuration = configuration
            authenticator = Authenticator(configuration)
            tls = try configuration.tls.map { try TLSForServer($0, configuration.clientTrust) }
        }
    }

    private let settings: Mutex<Settings>
    let admission: Admission
    let registry = PortDirectory()
    let tickets = TicketIssuer()
    let backendPlaces = BackendSlots()
    let memory: MemoryBudget
    /// What has been carried since the start.
    let totals: TrafficTotals
    /// The log of what peers cause.
    let logs: ServerLogs
    /// What clients share.
    let shares = ClientShares()
    private let stopping = Atomic(false)
    let logger: Logger
    private let sessions = Mutex(Sessions())

    /// The sessions that live.
    private struct Sessions {
        /// By the names that RESUME calls them.
        private(set) var all: [[UInt8]: ServerSessionHandle] = [:]
        /// How many each client has, by its id.
        private var ofClient: [[UInt8]: Int] = [:]

        func count(of client: [UInt8]) -> Int { ofClient[client, default: 0] }

        mutating func add(_ session: ServerSessionHandle) {
            all[session.id] = session
            ofClient[session.owner.client, default: 0] += 1
        }

        mutating func remove(_ session: ServerSessionHandle) {
            guard all.removeValue(forKey: session.id) != nil else { return }
            let left = count(of: session.owner.client) - 1
            ofClient[session.owner.client] = left > 0 ? left : nil
        }

        /// The client's session that has waited the longest for a carrier, one of the same process before all others.
        /// Looks at all sessions, since only a client at its bound asks.
        func longestWaiting(of owner: PortDirectory.Owner) -> ServerSessionHandle? {
            let waiting = all.values.compactMap { session in
                session.owner.client == owner.client ? session.waitsUntil.map { (session, until: $0) } : nil
            }
            let own = waiting.filter { $0.0.owner == owner }
            return (own.isEmpty ? waiting : own).min { $0.until < $1.until }?.0
        }
    }

    init(_ configuration: ServerConfiguration, memoryUse: MemoryUse = MemoryUse(), logger: Logger) throws {
        self.settings = Mutex(try Settings(configuration))
        let limits = configuration.serverLimits
        memory = MemoryBudget(capacity: limits.memory, use: memoryUse)
        admission = Admission(limits)
        logs = ServerLogs(limits)
        totals = TrafficTotals(loggedStreams: limits.visitorLogLines)
        self.logger = logger
    }

    /// What the server was told last.
    var configuration: ServerConfiguration { settings.withLock { $0.configuration } }

    /// Who the clients are by that.
    var authenticator: Authenticator { settings.withLock { $0.authenticator } }

    /// Replaces what the server was told: who comes from now on is judged by it, and clients without rights any more
    /// are disconnected. Everybody else's streams go on. Addresses to listen on and their queues stay as they are, and a
    /// session keeps the bounds with which it began. Done when every session judges by it.
    ///
    /// - Throws: when the certificate or its key cannot be used. Nothing has changed then.
    func reload(_ configuration: ServerConfiguration) async throws {
        let new = try Settings(configuration)
        settings.withLock { $0 = new }
        memory.capacity = configuration.serverLimits.memory
        admission.update(configuration.serverLimits)
        logs.update(configuration.serverLimits)
        totals.endedStreams.update(lines: configuration.serverLimits.visitorLogLines)
        let now = WallClock.unixSeconds
        var updates: [EventLoopFuture<Void>] = []
        for session in liveSessions {
            if let refusal = new.authenticator.refusal(of: session.owner.client, now: now) {
                _ = session.end(Refusal(.goingAway, refusal.text))
            } else if let rights = new.authenticator.rights(of: session.owner.client) {
                updates.append(session.update(rights, configuration))
            }
        }
        // One that fails has lost its event loop, and so its session.
        for update in updates { try? await update.get() }
    }

    /// The sessions that live now.
    var liveSessions: [ServerSessionHandle] { sessions.withLock { Array($0.all.values) } }

    /// The session of that name.
    func session(_ id: [UInt8]) -> ServerSessionHandle? { sessions.withLock { $0.all[id] } }

    /// Whether there is room for another session of a client; one of its own that waits for a carrier makes some.
    /// Event loops that ask at the same time may each add one.
    func hasRoom(for owner: PortDirectory.Owner) -> Bool {
        let most = configuration.serverLimits.sessionsPerClient
        let (hasRoom, oldest): (Bool, ServerSessionHandle?) = sessions.withLock { sessions in
            guard sessions.count(of: owner.client) >= most else { return (true, nil) }
            guard let oldest = sessions.longestWaiting(of: owner) else { return (false, nil) }
            sessions.remove(oldest)
            return (true, oldest)
        }
        _ = oldest?.end(Refusal(.replaced, "its client may have \(most) sessions, and has begun another one"))
        return hasRoom
    }

    /// Whether nothing new is accepted any more.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    /// Accepts no further session.
    func stop() { stopping.store(true, ordering: .relaxed) }

    // MARK: A stranger's connection

    /// Prepares a connection that was accepted on the endpoint.
    func prepare(_ channel: any Channel) throws {
        var logger = logger
        // A connection that has been reset already has no remote address any more, and is not a unix socket for that.
        let peer = channel.peerAddress
        logger[metadataKey: "peer"] = "\(peer?.inShort ?? "unix")"
        let (tls, fronts) = settings.withLock { ($0.tls, $0.configuration.trustedFronts) }
        let front = fronts.contains(peer) ? fronts : nil
        // Whom a front speaks for is not known yet.
        let address = front == nil ? Admission.address(of: peer) : nil
        guard let place = admission.arrive(address, close: { [channel] in channel.close(promise: nil) }) else {
            ServerMetrics.failed(.busy)
            try channel.pipeline.syncOperations.addHandler(BusyHandler(isPlain: tls == nil && admission.mayAnswer()))
            return
        }
        let connection = ServerConnection(
            server: self,
            channel: channel,
            place: place,
            address: address,
            front: front,
            logger: logger
        )
        try connection.install(tls: tls)
    }

    /// What the endpoint answers to an upgrade. Compression is the client's wish; no window outlives its message
    /// unless the operator says so, because each message may hold another visitor's bytes.
    var upgrade: ServerUpgrade {
        let configuration = configuration
        return ServerUpgrade(
            path: configuration.path,
            subprotocols: [subprotocolName],
            allowedOrigins: configuration.allowedOrigins,
            deflate: configuration.sharesCompression ? DeflateOptions() : .isolated
        )
    }

    /// Starts the session of a client that has proved itself.
    func open(
        _ verified: ServerHandshake.Verified,
        _ client: ClientRights,
        _ carrier: Carrier,
        _ channel: any Channel,
        peer: String,
        _ logger: Logger
    ) {
        let configuration = configuration
        let authentication = verified.authentication
        let name = authentication.name.isEmpty ? client.name : "\(client.name)/\(authentication.name)"
        var logger = logger
        logger[metadataKey: "client"] = "\(name)"
        logger.notice(
            "session opened",
            metadata: ["software": "\(authentication.software)", "authority": "\(authentication.authority)"]
        )
        let id = SecureRandom.bytes(16)
        let limits = client.limits(within: configuration.limits).narrowed(by: authentication)
        let (grace, _) = limits.grace.components
        carrier.send(
            verified.welcome(
                Welcome(
                    session: id,
                    initialWindow: UInt32(clamping: limits.initialWindow),
                    grace: UInt32(clamping: grace),
                    ticket: tickets.issue(to: authentication.id + authentication.instance, now: WallClock.unixSeconds)
                )
            )
        )
        let sessionLoop = SessionLoop(
            session: Session(
                role: .server,
                limits: limits,
                peerWindow: authentication.initialWindow,
                seed: SecureRandom.seed(),
                now: .now
            ),
            carrier: carrier,
            loop: channel.eventLoop,
            pollsBusily: configuration.pollsBusily,
            memory: memory,
            logger: logger
        )
        let session = ServerSession(
            sessionLoop: sessionLoop,
            rights: client,
            configuration: configuration,
            registry: registry,
            memory: memory,
            totals: totals,
            tickets: tickets,
            logs: logs,
            shares: shares,
            share: shares.join(authentication.id),
            logger: logger,
            loop: channel.eventLoop
        )
        let handle = ServerSessionHandle(
            session,
            id: id,
            resumeKey: verified.resumeKey,
            owner: PortDirectory.Owner(client: authentication.id, instance: authentication.instance),
            facts: SessionFacts(
                number: totals.addSession(),
                client: client.name,
                name: name,
                software: authentication.software,
                version: authentication.version
            ),
            loop: channel.eventLoop
        )
        sessions.withLock { $0.add(handle) }
        session.start(handle, from: peer) { [self] handle in
            sessions.withLock { $0.remove(handle) }
            shares.leave(handle.owner.client)
        }
        // A reload that came between the proof and the table has not seen this session.
        if let refusal = authenticator.refusal(of: handle.owner.client, now: WallClock.unixSeconds) {
            _ = handle.end(Refusal(.goingAway, refusal.text))
        }
    }
}
