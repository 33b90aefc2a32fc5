import Logging
import Mux
import NIOCore
import TunnelCore

/// The sessions of a server.
extension ServerCore {
    /// The sessions that live now.
    var liveSessions: [ServerSessionHandle] { sessions.withLock { Array($0.all.values) } }

    /// The session with an id.
    func session(_ id: [UInt8]) -> ServerSessionHandle? { sessions.withLock { $0.all[id] } }

    /// Whether a client may have another session. At its limit, a session of its own that waits for a carrier is ended.
    ///
    /// Event loops that ask at the same time may each add one.
    ///
    /// - Parameter evicts: whether a session that waits may be ended for it.
    func hasRoom(for owner: PortOwner, evicts: Bool = true) -> Bool {
        let limit = configuration.serverLimits.sessionsPerClient
        switch sessions.withLock({ $0.makeRoom(for: owner, limit: limit, evicts: evicts) }) {
        case .free: return true
        case .none: return false
        case .freedBy(let oldest):
            let text = "its client may have \(limit) sessions, and has begun another one"
            _ = oldest.end(Refusal(.replaced, text))
            return true
        }
    }

    /// Opens the session of a client whose proof is right.
    func open(
        _ verified: ServerHandshake.Verified,
        _ client: ClientRights,
        _ carrier: Carrier,
        _ channel: any Channel,
        from origin: CarrierOrigin,
        _ logger: Logger
    ) {
        let configuration = configuration
        let authentication = verified.authentication
        let name = authentication.name.isEmpty ? client.name : "\(client.name)/\(authentication.name)"
        var logger = logger
        logger[metadataKey: "client"] = "\(name)"
        // Every server of a cluster can see the session's home, and a client sees whether two sessions have the same one.
        let home = resources.cluster?.id.bytes ?? resources.process
        let id = home + SecureRandom.bytes(16 - home.count)
        let identity = authenticator.identity(of: authentication.id)
        let owner = PortOwner(client: identity, instance: authentication.instance)
        let limits = client.limits(within: configuration.limits)
        guard let (opening, keys) = verified.welcome(welcome(to: authentication, id, limits)) else {
            return carrier.abort("its request was answered before")
        }
        carrier.open(opening)
        let sealedWith = keys.isSealed ? configuration.sealingKey?.publicKey.fingerprint : nil
        logger.notice(
            "session opened",
            metadata: [
                "software": "\(authentication.software)", "authority": "\(authentication.authority)",
                "sealed": "\(sealedWith ?? "no")",
            ]
        )
        let session = ServerSession(
            sessionLoop: sessionLoop(authentication, limits, configuration, carrier, channel.eventLoop, logger),
            rights: client,
            configuration: configuration,
            resources: configuration.labelsMetricsByClient ? resources.counting(for: client.name) : resources,
            share: resources.shares.join(owner.client),
            logger: logger,
            loop: channel.eventLoop
        )
        let handle = ServerSessionHandle(
            session,
            id: id,
            keys: keys,
            owner: owner,
            credential: authentication.id,
            facts: SessionFacts(
                number: resources.totals.addSession(),
                client: client.name,
                name: name,
                software: authentication.software,
                version: authentication.version,
                sealedWith: sealedWith
            ),
            loop: channel.eventLoop
        )
        start(session, handle, from: origin)
    }

    private func welcome(to authentication: Authentication, _ id: [UInt8], _ limits: MuxLimits) -> Welcome {
        let (grace, _) = limits.grace.components
        let client = authenticator.identity(of: authentication.id) + authentication.instance
        return Welcome(
            session: id,
            initialWindow: UInt32(clamping: limits.initialWindow),
            grace: UInt32(clamping: grace),
            ticket: resources.tickets.issue(to: client, now: WallClock.unixSeconds),
            streams: UInt32(clamping: limits.streams),
            opening: UInt32(clamping: limits.opening)
        )
    }

    private func sessionLoop(
        _ authentication: Authentication,
        _ limits: MuxLimits,
        _ configuration: ServerConfiguration,
        _ carrier: Carrier,
        _ loop: any EventLoop,
        _ logger: Logger
    ) -> SessionLoop {
        SessionLoop(
            session: Session(
                role: .server,
                limits: limits,
                peerWindow: authentication.initialWindow,
                peerAccepts: (authentication.streams, authentication.opening),
                seed: SecureRandom.seed(),
                now: .now
            ),
            carrier: carrier,
            loop: loop,
            pollsBusily: configuration.pollsBusily,
            memory: resources.memory,
            metrics: resources.totals.metrics,
            logger: logger
        )
    }

    private func start(_ session: ServerSession, _ handle: ServerSessionHandle, from origin: CarrierOrigin) {
        sessions.withLock { $0.add(handle) }
        gone.withLock { $0.returned(handle.owner) }
        session.start(handle, from: origin) { [self] handle, farewell in
            let hasLeft = sessions.withLock { $0.remove(handle) }
            if hasLeft, let farewell { gone.withLock { $0.left(farewell) } }
            resources.shares.leave(handle.owner.client)
        }
        // A reload between the proof and the table has not reached this session.
        if let refusal = authenticator.refusal(of: handle.credential, now: WallClock.unixSeconds) {
            _ = handle.end(Refusal(.goingAway, refusal.text))
        }
    }
}
