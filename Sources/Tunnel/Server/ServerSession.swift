import Logging
import Mux
import NIOCore
import ProxyConnect

/// A client's session at the server: its public ports, and a stream for each visitor.
final class ServerSession: SessionDelegate, PublicPortsOwner {
    let driver: SessionDriver
    /// The session's own grant: what its requests are judged by.
    private var rights: ClientRights
    private var policy: BindPolicy
    private var visitorLimits: VisitorLimits
    /// The fronts before the public ports; nil where there are none.
    private var fronts: TrustedFronts?
    /// The doors of the tunnels, and what their visitors share.
    private var doors: [UInt16: Door] = [:]
    /// The client's own rate, over all its tunnels.
    private let pace: Pace?

    /// One tunnel's door.
    private struct Door {
        var gate: VisitorGate
        let pace: Pace?
        /// Whether the client wants to know at which address visitors came.
        let tellsAddress: Bool
        /// Who is there, and what has been carried.
        let ledger: TunnelLedger
    }
    private let totals: TrafficTotals
    private let ports: PublicPorts
    private let memory: MemoryBudget
    private let logger: Logger
    private let loop: any EventLoop
    private var onEnd: ((SessionHandle) -> Void)?
    private let refusedVisitors: LogThrottle
    /// The operator's bounds, beside the session's own.
    private var limits: ServerLimits
    private var drainTimeout: Duration
    /// Visitors that were accepted while the session had no room or no carrier.
    private var waitingRoom: WaitingRoom
    private var waitingTimer: Scheduled<Void>?
    /// The epoch of the present carrier: only a higher one takes its place.
    private var epoch: UInt64 = 0
    /// Where the present carrier comes from.
    private(set) var peer = ""
    private var lostAt: Moment?
    /// Carriers so far.
    private(set) var carriers = 1
    /// Nobody can come back with another carrier.
    private var endsWithCarrier = false
    private let drained: EventLoopPromise<Void>
    private var expiry: Scheduled<Void>?
    private var handle: SessionHandle?

    init(
        driver: SessionDriver,
        rights: ClientRights,
        configuration: ServerConfiguration,
        registry: PortRegistry,
        memory: MemoryBudget,
        totals: TrafficTotals,
        logger: Logger,
        loop: any EventLoop
    ) {
        self.driver = driver
        self.rights = rights
        self.policy = rights.policy(configuration)
        self.visitorLimits = rights.visitors ?? configuration.visitors
        self.fronts = configuration.hasFrontsOnPublicPorts ? configuration.trustedFronts : nil
        self.pace = rights.bandwidth.map { Pace(bytesPerSecond: $0, now: .now) }
        self.limits = configuration.serverLimits
        self.waitingRoom = WaitingRoom(configuration.serverLimits)
        self.drainTimeout = configuration.drainTimeout
        self.refusedVisitors = LogThrottle(configuration.serverLimits)
        self.ports = PublicPorts(
            driver: driver,
            registry: registry,
            limits: configuration.serverLimits,
            logger: logger,
            loop: loop
        )
        self.memory = memory
        self.totals = totals
        self.logger = logger
        self.loop = loop
        self.drained = loop.makePromise()
    }

    /// Starts the session; `onEnd` is called once it is over.
    func start(_ handle: SessionHandle, from peer: String, onEnd: @escaping (SessionHandle) -> Void) {
        self.handle = handle
        self.peer = peer
        self.onEnd = onEnd
        ports.start(handle, self)
        driver.start(self)
        watchExpiry()
    }

    /// The operator has changed the client's rights: further requests are judged by the new ones. Ports that are public
    /// stay, as do the bounds of the session.
    func update(_ rights: ClientRights, _ configuration: ServerConfiguration) {
        self.rights = rights
        policy = rights.policy(configuration)
        visitorLimits = rights.visitors ?? configuration.visitors
        fronts = configuration.hasFrontsOnPublicPorts ? configuration.trustedFronts : nil
        limits = configuration.serverLimits
        ports.limits = limits
        drainTimeout = configuration.drainTimeout
        refusedVisitors.update(limits)
        watchExpiry()
    }

    /// Ends the session when the client's time is over.
    private func watchExpiry() {
        expiry?.cancel()
        guard let expires = rights.expires else { return }
        // At most a day at a time: the wall clock may be set meanwhile.
        let left = min(max(0, expires - WallClock.unixSeconds), 86_400)
        expiry = loop.assumeIsolated().scheduleTask(in: .seconds(left)) {
            guard !self.driver.isEnded else { return }
            guard let refusal = self.rights.refusal(now: WallClock.unixSeconds) else { return self.watchExpiry() }
            self.driver.end(Refusal(.goingAway, refusal.text))
        }
    }

    // MARK: For the handle

    /// The tunnels that are public, by number.
    var ledgers: [TunnelLedger] {
        doors.values.map(\.ledger).filter { $0.place != nil }.sorted { $0.tunnel < $1.tunnel }
    }

    func probe(timeout: TimeAmount) -> EventLoopFuture<Bool> { driver.probe(timeout: timeout) }

    func end(_ reason: Refusal) -> EventLoopFuture<Void> {
        driver.end(reason)
        return drained.futureResult
    }

    /// The server stops: streams may end, but a carrier that is lost is not replaced.
    func drain(_ reason: Refusal) -> EventLoopFuture<Void> {
        endsWithCarrier = true
        beginDraining(reason)
        return drained.futureResult
    }

    private func beginDraining(_ reason: Refusal) {
        driver.drain(reason)
        stopAccepting()
        if driver.streamCount == 0 || (endsWithCarrier && !driver.hasCarrier) { driver.end(reason) }
    }

    func sessionIsUsedUp(_ driver: SessionDriver) {
        guard !isDraining else { return }
        let reason = Refusal(.goingAway, "this session has used up its stream numbers; begin another")
        beginDraining(reason)
        loop.assumeIsolated().scheduleTask(in: TimeAmount(drainTimeout)) { driver.end(reason) }
    }

    /// Whether the session takes nothing new.
    var isDraining: Bool { !ports.isOpen }

    /// Visitors are not accepted any more, nor kept waiting.
    private func stopAccepting() {
        ports.close()
        waitingTimer?.cancel()
        for visitor in waitingRoom.removeAll() { visitor.pipe.reset(.goingAway) }
    }

    // MARK: Ports

    func session(_ driver: SessionDriver, bind request: BindRequest) {
        guard !isDraining else { return driver.unbound(request.tunnel, Refusal(.goingAway, "the server is stopping")) }
        if let most = rights.maximumTunnels, ports.count >= most {
            return ports.refuse(request, Refusal(.limit, "this client may have \(most) tunnels"))
        }
        guard let limits = visitorLimits.narrowed(by: request.visitors) else {
            return ports.refuse(request, Refusal(.portNotAllowed, "allow and deny must be blocks such as 10.0.0.0/8"))
        }
        doors[request.tunnel] = Door(
            gate: VisitorGate(limits, rememberedAddresses: self.limits.rememberedAddresses),
            pace: limits.bandwidth.map { Pace(bytesPerSecond: $0, now: .now) },
            tellsAddress: request.visitors.wantsPublicAddress,
            ledger: TunnelLedger(tunnel: request.tunnel, role: .server, totals: totals)
        )
        do throws(Refusal) {
            ports.bind(request, try policy.addresses(for: request), allowed: policy.allowedPorts)
        } catch {
            ports.refuse(request, error)
        }
    }

    func ports(_ ports: PublicPorts, published listener: PublicListener) {
        let addresses = listener.addresses
        doors[listener.tunnel]?.ledger.published(address: addresses, port: listener.port)
        let visitors = doors[listener.tunnel]?.gate.limits.description ?? ""
        logger.notice(
            "port is public",
            metadata: [
                "address": "\(addresses)", "port": "\(listener.port)", "tunnel": "\(listener.tunnel)",
                "visitors": "\(visitors)",
            ]
        )
        driver.bound(Binding(tunnel: listener.tunnel, address: addresses, port: listener.port))
    }

    // MARK: Visitors

    func ports(_ ports: PublicPorts, visitedBy channel: any Channel, at tunnel: UInt16) throws {
        try SocketOptions.visitor(channel)
        let visitor = channel.remoteAddress?.inShort ?? "unknown"
        let address = channel.remoteAddress?.ip
        guard let fronts, fronts.contains(channel.remoteAddress) else {
            return try enter(channel, tunnel, visitor, address, at: nil)
        }
        try channel.pipeline.syncOperations.addHandler(
            ProxyProtocolHandler(
                isRequired: true,
                timeout: TimeAmount(limits.handshakeTimeout)
            ) { [weak self] header in
                // A front's own check of health is about nobody, and comes as the front.
                let ends = header?.ends
                try self?.enter(
                    channel,
                    tunnel,
                    ends.map { "\($0.source)" } ?? visitor,
                    ends?.source.address ?? address,
                    at: ends.map { "\($0.destination)" }
                )
            }
        )
    }

    /// A visitor is at the door.
    ///
    /// - Parameter place: the address at which it came, where that is not the socket's own.
    private func enter(
        _ channel: any Channel,
        _ tunnel: UInt16,
        _ visitor: String,
        _ address: IPAddress?,
        at place: String?
    ) throws {
        guard let door = doors[tunnel] else { return channel.close(promise: nil) }
        let isShort = memory.pressure >= .refusesStreams
        if let refusal = isShort ? .noMemory : doors[tunnel]?.gate.admit(address, now: .now) {
            let metadata: Logger.Metadata = ["visitor": "\(visitor)", "reason": "\(refusal.rawValue)"]
            refusedVisitors.log("visitor refused", at: .info, to: logger, metadata)
            TunnelMetrics.refused(refusal)
            return try channel.pipeline.syncOperations.addHandler(RefusedVisitor())
        }
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.doors[tunnel]?.gate.left() }
        let visit = Visit(
            tunnel: tunnel,
            visitor: visitor,
            publicAddress: door.tellsAddress ? place ?? channel.localAddress?.inShort ?? "" : ""
        )
        let pipe = StreamPipe(
            driver: driver,
            policy: streamPolicy(door),
            origin: StreamOrigin(visitor: visitor, ledger: door.ledger),
            logger: logger
        ) { [weak self] pipe in
            self?.admit(pipe, visit)
        }
        try channel.pipeline.syncOperations.addHandler(pipe)
    }

    private func streamPolicy(_ door: Door) -> StreamPolicy {
        StreamPolicy(
            idleTimeout: door.gate.limits.idleSeconds.map { .seconds(Int64($0)) },
            paces: [pace, door.pace].compactMap { $0 }
        )
    }

    private func admit(_ pipe: StreamPipe, _ visit: Visit) {
        guard !driver.isEnded, !isDraining else { return pipe.reset(.goingAway) }
        if waitingRoom.isEmpty, let id = driver.open(visit, pipe) { return pipe.open(id) }
        waitingRoom.enter(pipe, visit, now: .now)
        setAccepting()
        watchWaiting()
    }

    /// Without a carrier some visitors wait here, where it is known since when; all others wait in the listen queue.
    private func setAccepting() {
        ports.setAccepting(driver.hasCarrier ? waitingRoom.isEmpty : !waitingRoom.isFull)
    }

    /// Resets those who have waited too long for a carrier.
    private func watchWaiting() {
        waitingTimer?.cancel()
        guard !driver.hasCarrier, let due = waitingRoom.nextDeadline else { return }
        waitingTimer = loop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(due.nanoseconds)) {
            guard !self.driver.hasCarrier else { return }
            for visitor in self.waitingRoom.expired(now: .now) { visitor.pipe.reset(.timeout) }
            self.setAccepting()
            self.watchWaiting()
        }
    }

    func sessionHasRoom(_ driver: SessionDriver) {
        while let next = waitingRoom.first, driver.canOpen {
            waitingRoom.removeFirst()
            guard next.pipe.isPending else { continue }
            guard let id = driver.open(next.visit, next.pipe) else { break }
            next.pipe.open(id)
        }
        setAccepting()
        if isDraining, driver.streamCount == 0, !driver.isEnded {
            driver.end(Refusal(.goingAway, "the server is stopping", retryAfter: 1))
        }
    }

    // MARK: Carriers

    func session(_ driver: SessionDriver, lost carrier: LostCarrier) {
        TunnelMetrics.lostCarriers.increment()
        guard !endsWithCarrier else { return driver.end(Refusal(.goingAway, "the server is stopping")) }
        let now = Moment.now
        lostAt = now
        handle?.waitsUntil = now + driver.grace
        logger.notice(
            "carrier lost; the session waits for another one",
            metadata: [
                "reason": "\(carrier.reason)", "from": "\(peer)", "after": "\(carrier.age.inShort)",
                "waits": "\(driver.grace.inShort)", "streams": "\(driver.streamCount)",
            ]
        )
        setAccepting()
        watchWaiting()
    }

    /// The client brings another carrier, and has proved that it may.
    ///
    /// - Returns: why it cannot have it.
    func resume(
        _ carrier: any CarrierLink,
        from peer: String,
        _ resumption: Resumption,
        _ proof: ServerOpening.Resumed
    ) -> Refusal? {
        guard !driver.isEnded else { return Refusal(.replaced, "the session has just ended") }
        guard resumption.epoch > epoch else { return Refusal(.replaced, "a newer carrier has been here") }
        epoch = resumption.epoch
        self.peer = peer
        carriers += 1
        waitingTimer?.cancel()
        driver.attach(
            carrier,
            peerReceived: resumption.received,
            first: proof.resumed(received: driver.received)
        )
        guard !driver.isEnded else { return nil }
        TunnelMetrics.resumes.increment()
        handle?.waitsUntil = nil
        let pause = lostAt.map { Moment.now.since($0) } ?? .zero
        lostAt = nil
        logger.notice(
            "session resumed",
            metadata: ["from": "\(peer)", "carriers": "\(carriers)", "without_carrier": "\(pause.inShort)"]
        )
        return nil
    }

    // MARK: The rest

    func session(_ driver: SessionDriver, goingAway reason: Refusal) {
        logger.info("client is going away", metadata: ["reason": "\(reason)"])
        stopAccepting()
        if driver.streamCount == 0 { driver.end(Refusal(.goingAway, "as asked")) }
    }

    func session(_ driver: SessionDriver, ended end: SessionEnd) {
        expiry?.cancel()
        logger.notice("session ended", metadata: ["reason": "\(end)"])
        stopAccepting()
        ports.giveBack()
    }

    func portsAreGivenBack(_ ports: PublicPorts) {
        guard let handle else { return }
        self.handle = nil
        onEnd?(handle)
        onEnd = nil
        drained.succeed(())
    }

    // A client never gets these from its own frames: the session refuses them from a client.
    func session(_ driver: SessionDriver, bound binding: Binding) {}
    func session(_ driver: SessionDriver, unbound tunnel: UInt16, _ refusal: Refusal) {}
    func session(_ driver: SessionDriver, open stream: StreamID, _ visit: Visit) {}
    func session(_ driver: SessionDriver, renewWithin seconds: UInt32) {}
}

/// A visitor that may not come in: reset at once, before a byte of it is read.
private final class RefusedVisitor: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { refuse(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        refuse(context)
    }

    private func refuse(_ context: ChannelHandlerContext) {
        SocketOptions.resetOnClose(context.channel)
        context.close(promise: nil)
    }
}
