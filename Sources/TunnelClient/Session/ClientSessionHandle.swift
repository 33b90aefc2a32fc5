import Logging
import Mux
import NIOCore
import ProxyConnect
import Seal
import Synchronization
import TunnelAdmin
import TunnelCore

/// The handle of a client's session outside its event loop, valid over all of its carriers.
final class ClientSessionHandle: DialledSession {
    let signals: AsyncStream<SessionSignal>
    /// Succeeds when the session is over.
    let ended: EventLoopFuture<ClientSessionEnd>
    private let signal: AsyncStream<SessionSignal>.Continuation
    private let loop: any EventLoop
    private let logger: Logger
    private let metrics: TunnelMetrics
    private let software: String
    private let since = WallClock.unixSeconds
    private let id: [UInt8]
    private let keys: SessionKeys
    /// The server's key; nil if the session is not sealed.
    private let serverKey: ServerPublicKey?
    private let session: NIOLoopBound<ClientSession>
    private let inside: NIOLoopBound<Inside>
    private let part: SessionPart?
    private let carriers = Atomic(1)
    private let over = Atomic(false)
    /// The time at which the carrier was lost, in the event loop's nanoseconds; 0 while there is one.
    private let lostAt = Atomic<UInt64>(0)

    /// The state of the event loop.
    private final class Inside {
        var route: DialRoute
        var carrierSince = Instant.now
        /// The epoch of the session's last RESUME.
        var epoch: UInt64 = 0
        /// The epoch of each lane's last RESUME.
        var epochs: [LaneID: UInt64] = [:]
        /// The proxies of the lanes' carriers, except those that go without one.
        var proxies: [LaneID: ProxyURL] = [:]
        /// The lane that the last dial for the session as a whole resumes.
        var resuming: LaneID?
        /// Lanes whose RESUME has no answer yet.
        var resumed: Set<LaneID> = []
        var renewal: Scheduled<Void>?
        /// Whether the carriers of all lanes are replaced once the first lane has got another one.
        var renewsAll = false
        var keeper: LaneKeeper?

        init(_ route: DialRoute) {
            self.route = route
            proxies[.first] = route.proxy
        }

        func forget(_ lane: LaneID) {
            epochs[lane] = nil
            proxies[lane] = nil
        }
    }

    /// Starts the session; on its event loop.
    init(
        _ grant: ClientHandshake.Grant,
        _ carrier: Carrier,
        _ route: DialRoute,
        _ dialler: Dialler,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) {
        let loop = dialler.loop
        var logger = dialler.logger
        logger[metadataKey: "server"] = "\(route.endpoint)"
        dialler.totals.addSession()
        let facts: Logger.Metadata = [
            "software": "\(grant.software)", "sealed": "\(grant.serverKey?.fingerprint ?? "no")",
        ]
        logger.notice("session opened", metadata: route.proxyMetadata.merging(facts) { $1 })
        if grant.serverKey != nil, dialler.configuration.isCompressing {
            logger.warning("the session is sealed, and therefore not compressed")
        }
        let promise = loop.makePromise(of: ClientSessionEnd.self)
        var limits = dialler.configuration.limits
        limits.grace = min(limits.grace, .seconds(Int64(grant.welcome.grace)))
        let sessionLoop = SessionLoop(
            session: Session(
                role: .client,
                limits: limits,
                peerWindow: grant.welcome.initialWindow,
                peerAccepts: (grant.welcome.streams, grant.welcome.opening),
                seed: SecureRandom.seed(),
                now: .now
            ),
            carrier: carrier,
            loop: loop,
            pollsBusily: dialler.configuration.pollsBusily,
            memory: dialler.memory,
            metrics: dialler.totals.metrics,
            logger: logger
        )
        (signals, signal) = AsyncStream.makeStream(of: SessionSignal.self)
        self.loop = loop
        metrics = dialler.totals.metrics
        self.logger = logger
        id = grant.welcome.session
        part = dialler.part
        keys = grant.keys
        serverKey = grant.serverKey
        software = grant.software
        ended = promise.futureResult
        inside = NIOLoopBound(Inside(route), eventLoop: loop)
        session = NIOLoopBound(
            ClientSession(
                sessionLoop: sessionLoop,
                tunnels: dialler.tunnels,
                listeners: dialler.listeners.value,
                limits: dialler.configuration.clientLimits,
                totals: dialler.totals,
                progress: dialler.progress,
                openPolicy: { dialler.openRules.policy(beside: dialler.listeners.value.places) },
                serverHost: route.endpoint.host,
                names: dialler.context.names,
                part: dialler.part,
                exitsOnRefusal: dialler.configuration.exitsOnRefusal,
                exitsOnForwardFailure: dialler.configuration.exitsOnForwardFailure,
                logger: logger
            ),
            eventLoop: loop
        )
        session.value.start { [self] event in
            switch event {
            case .bound(let tunnel, let binding): onBound(tunnel, binding)
            case .lost(let carrier): lost(carrier)
            case .lostLane(let lane, let carrier): lost(carrier, of: lane)
            case .leftLane(let lane): inside.value.forget(lane)
            case .goingAway(let reason):
                part?.spread.leaves(id, by: part?.number ?? 0)
                signal.yield(.goingAway(retryAfter: reason.retryAfter))
            case .renewal(let seconds):
                let wait = Double.random(in: 0...Double(seconds))
                inside.value.renewsAll = true
                scheduleRenewal(in: wait, "the server asks for it")
            case .ended(let end, let refused): promise.succeed(finish(end, refused))
            }
        }
        keepLanes(sessionLoop, dialler, logger)
    }

    /// Starts to open further lanes when they are of use.
    private func keepLanes(_ sessionLoop: SessionLoop, _ dialler: Dialler, _ logger: Logger) {
        guard !isOver, dialler.configuration.carriers.maximum > 1 else { return }
        let keeper = LaneKeeper(sessionLoop, dialler.configuration.carriers, logger: logger) { [self] lane, done in
            let route = inside.value.route
            let ways = LaneWays(dialler.configuration.carriersOver, route.way, at: route.rotation.connected)
            return Task { [loop] in
                let failure = await dialler.dial(lane, of: self, over: ways)
                loop.execute {
                    self.inside.value.resumed.remove(lane)
                    done(failure)
                }
            }
        }
        inside.value.keeper = keeper
        keeper.start()
    }

    // MARK: State

    var isOver: Bool { over.load(ordering: .relaxed) }

    var carrier: Int { carriers.load(ordering: .relaxed) }

    var withoutCarrierSince: Instant? {
        let time = lostAt.load(ordering: .relaxed)
        return time == 0 ? nil : Instant(nanoseconds: time)
    }

    // MARK: On the event loop

    private func lost(_ carrier: LostCarrier) {
        metrics.lostCarriers.increment()
        lostAt.store(max(1, Instant.now.nanoseconds), ordering: .relaxed)
        inside.value.renewal?.cancel()
        inside.value.renewsAll = false
        inside.value.keeper?.lostAll()
        signal.yield(.lost(carrier, carrier: self.carrier))
    }

    private func lost(_ carrier: LostCarrier, of lane: LaneID) {
        metrics.lostCarriers.increment()
        inside.value.forget(lane)
        logger.info(
            "carrier lost; the session goes on over others",
            metadata: ["reason": "\(carrier.reason)", "lane": "\(lane)", "after": .time(carrier.age)]
        )
        signal.yield(.lostLane(carrier))
    }

    private func finish(_ end: SessionEnd, _ refused: String?) -> ClientSessionEnd {
        over.store(true, ordering: .relaxed)
        part?.spread.left(id, by: part?.number ?? 0)
        inside.value.renewal?.cancel()
        inside.value.keeper?.stop()
        inside.value.keeper = nil
        let held = Instant.now.since(inside.value.carrierSince)
        var end = ClientSessionEnd(end, held: held, refused: refused)
        end.isDelivered = session.value.isDelivered
        signal.yield(.ended(end))
        signal.finish()
        return end
    }

    private func scheduleRenewal(in seconds: Double, _ why: String) {
        inside.value.renewal?.cancel()
        let carrier = carrier
        inside.value.renewal = loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(seconds * 1e9))) { [signal] in
            signal.yield(.renewal(why: why, carrier: carrier))
        }
    }

    /// The content of a RESUME, for a carrier that is about to send it; nil if the session is over.
    ///
    /// Until that carrier takes over or fails, frames of the present carrier are set aside.
    func ticket() -> ClientHandshake.Ticket? {
        let lane = session.value.sessionLoop.firstLane
        // Without a carrier, a dial of the same lane was cancelled at the loss.
        if withoutCarrierSince != nil { inside.value.resumed.remove(lane) }
        guard let ticket = ticket(for: lane) else { return nil }
        inside.value.resuming = lane
        return ticket
    }

    /// Returns the content of a RESUME for a certain lane, which may be one that begins; nil if the session is over.
    func ticket(for lane: LaneID) -> ClientHandshake.Ticket? {
        let sessionLoop = session.value.sessionLoop
        // Two RESUMEs of one lane would report the same count of received frames.
        guard !sessionLoop.isEnded, inside.value.resumed.insert(lane).inserted else { return nil }
        inside.value.epoch += 1
        inside.value.epochs[lane] = inside.value.epoch
        let resumption = Resumption(
            session: id,
            lane: lane,
            epoch: inside.value.epoch,
            received: sessionLoop.deferFrames(of: lane),
            nonce: SecureRandom.bytes(32)
        )
        return ClientHandshake.Ticket(resumption, keys: keys)
    }

    /// Continues the session on a carrier for which the server has accepted the RESUME.
    func resume(_ carrier: Carrier, _ route: DialRoute, peerReceived: UInt64) {
        let lane = inside.value.resuming ?? .first
        let input = SessionInput.attach(
            carrier,
            lane: lane,
            epoch: inside.value.epochs[lane] ?? 0,
            peerReceived: peerReceived,
            first: nil
        )
        inside.value.resuming = nil
        inside.value.resumed.remove(lane)
        let sessionLoop = session.value.sessionLoop
        sessionLoop.run(input)
        guard !isOver else { return }
        guard sessionLoop.hasCarrier else {
            // The lane was left meanwhile, and no other one has a carrier: another dial is due.
            let lost = LostCarrier(reason: "its lane was left", age: .zero, idle: .zero, retryAfter: nil)
            signal.yield(.lost(lost, carrier: self.carrier))
            return
        }
        let pause = withoutCarrierSince.map { Instant.now.since($0) } ?? .zero
        lostAt.store(0, ordering: .relaxed)
        inside.value.route = route
        inside.value.proxies[lane] = route.proxy
        inside.value.carrierSince = .now
        inside.value.renewal?.cancel()
        let number = carriers.add(1, ordering: .relaxed).newValue
        metrics.resumes.increment()
        logger.notice(
            "session resumed",
            metadata: route.proxyMetadata.merging(
                ["carriers": .number(number), "without_carrier": .time(pause)]
            ) { $1 }
        )
        if inside.value.renewsAll { inside.value.keeper?.renewAll() }
        inside.value.renewsAll = false
        session.value.resumed()
    }

    /// Gives a lane a carrier for which the server has accepted the RESUME.
    func attach(_ carrier: Carrier, to lane: LaneID, _ route: DialRoute, peerReceived: UInt64) {
        guard inside.value.resuming != lane else {
            return carrier.close(.goingAway, reason: "another dial has the lane")
        }
        let epoch = inside.value.epochs[lane] ?? 0
        inside.value.resumed.remove(lane)
        inside.value.proxies[lane] = route.proxy
        let sessionLoop = session.value.sessionLoop
        let isNew = !sessionLoop.hasLane(lane)
        sessionLoop.run(.attach(carrier, lane: lane, epoch: epoch, peerReceived: peerReceived, first: nil))
        if isNew, sessionLoop.hasLane(lane) { metrics.addedCarriers.increment() }
    }

    /// Ends a session that the server does not know any more, since another one has begun in its place.
    func forget() {
        session.value.sessionLoop.run(.forget)
    }

    // MARK: From any thread

    /// Continues on the present carrier, if there is one, since the dial for another one has failed.
    func keepCarrier() {
        loop.execute { [self] in
            guard let lane = inside.value.resuming else { return }
            inside.value.resuming = nil
            inside.value.resumed.remove(lane)
            session.value.sessionLoop.run(.takeDeferred(lane))
        }
    }

    func maintain(pingInterval: Duration?, renewal: Duration?) {
        loop.execute { [self] in
            if let pingInterval { session.value.sessionLoop.run(.pingInterval(pingInterval)) }
            inside.value.keeper?.renewal = renewal
            guard let renewal, !isOver, withoutCarrierSince == nil else { return }
            let left = renewal - Instant.now.since(inside.value.carrierSince)
            scheduleRenewal(in: max(0, left / .seconds(1)), "it has served for \(renewal.inShort)")
        }
    }

    /// Sends no PING for a while.
    func beQuiet(for time: Duration) {
        loop.execute { self.session.value.sessionLoop.run(.quiet(time)) }
    }

    /// Asks for new carriers while the present ones live: one for the first lane, and then those of the others.
    func renew(_ why: String) {
        loop.execute { [self] in inside.value.renewsAll = inside.value.keeper != nil && withoutCarrierSince == nil }
        signal.yield(.renewal(why: why, carrier: carrier))
    }

    /// Asks at once for the ports that the server has refused.
    func askForPorts() {
        loop.execute { self.session.value.askForPorts() }
    }

    func tunnelsChanged() {
        loop.execute { self.session.value.tunnelsChanged() }
    }

    func openRulesChanged() {
        loop.execute { self.session.value.openRulesChanged() }
    }

    func remind(_ number: Int, in wait: Duration) {
        let wait = max(0, wait / .nanoseconds(1))
        loop.scheduleTask(in: .nanoseconds(Int64(wait))) { [signal] in signal.yield(.reminder(number)) }
    }

    /// Pings the server, and ends the carrier unless the answer arrives in time.
    func probe(within timeout: Duration) {
        loop.execute { self.session.value.sessionLoop.run(.probe(timeout: timeout)) }
    }

    /// The status of the session for the operator.
    func status() -> EventLoopFuture<ClientSessionStatus> {
        loop.submit { [self] in
            let inside = inside.value
            return session.value.status(
                inside.route,
                software: software,
                sealedWith: serverKey?.fingerprint,
                since: since,
                carriers: carrier
            ) { lane in
                (inside.keeper?.reason(of: lane), inside.proxies[lane])
            }
        }
    }

    /// The gauges of the session for the metrics.
    func measure() -> EventLoopFuture<TunnelGauges> {
        loop.submit {
            let session = self.session.value
            let unpublished = session.progress.now.unpublishedTunnels
            return TunnelGauges(session.sessionLoop, session.statistics, unpublished: unpublished)
        }
    }

    /// Lets the streams finish.
    func drain() {
        loop.execute { self.session.value.drain() }
    }

    func end() {
        loop.execute { self.session.value.end() }
    }
}

extension DialRoute {
    /// The proxy, for the log.
    fileprivate var proxyMetadata: Logger.Metadata {
        proxy.map { ["proxy": "\($0.redacted)"] } ?? [:]
    }
}
