import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelAdmin
import TunnelCore

/// A client's session at the server: its public ports, and a stream for each visitor.
final class ServerSession: ServerSessionOwner, PublicPortsOwner {
    let sessionLoop: SessionLoop
    /// The session's own grant: what its requests are judged by.
    private var rights: ClientRights
    private var policy: BindPolicy
    private var visitorLimits: VisitorLimits
    /// The fronts before the public ports; nil where there are none.
    private var fronts: TrustedFronts?
    /// The admissions of the tunnels, and what their visitors share.
    private var admissions: [UInt16: TunnelAdmission] = [:]
    /// The client's own rate, over all its tunnels.
    private var pace: RateLimit?

    /// One tunnel's door, from its request until the port is given up.
    private final class TunnelAdmission {
        /// What the client asked for.
        let request: BindRequest
        var gate: VisitorGate
        var pace: RateLimit?
        /// Whether the client wants to know at which address visitors came.
        var tellsAddress: Bool { request.visitors.wantsPublicAddress }
        /// Who is there, and what has been carried.
        let statistics: TunnelStatistics

        init(_ request: BindRequest, gate: VisitorGate, statistics: TunnelStatistics) {
            self.request = request
            self.gate = gate
            self.statistics = statistics
            pace = gate.limits.bandwidth.map { RateLimit(bytesPerSecond: $0, now: .now) }
        }
    }
    private let totals: TrafficTotals
    private let tickets: TicketIssuer
    private let shares: ClientShares
    private let share: ClientShare
    private let ports: PublicPorts
    private let memory: MemoryBudget
    private let logger: Logger
    private let loop: any EventLoop
    private var onEnd: ((ServerSessionHandle) -> Void)?
    private let refusedVisitors: LogThrottle
    /// The operator's bounds, beside the session's own.
    private var limits: ServerLimits
    private var drainTimeout: Duration
    /// Visitors that were accepted while the session had no room or no carrier.
    private var waitingRoom: PendingVisitors
    private var waitingTimer: Scheduled<Void>?
    /// Some tunnel's visitors wait in its listen queue.
    private var isHoldingBack = false
    /// The epoch of the present carrier: only a higher one takes its place.
    private var epoch: UInt64 = 0
    /// Where the present carrier comes from.
    private(set) var peer = ""
    private var lostAt: Instant?
    /// Carriers so far.
    private(set) var carriers = 1
    /// Nobody can come back with another carrier.
    private var endsWithCarrier = false
    private let drained: EventLoopPromise<Void>
    private var expiry: Scheduled<Void>?
    private var handle: ServerSessionHandle?

    init(
        sessionLoop: SessionLoop,
        rights: ClientRights,
        configuration: ServerConfiguration,
        registry: PortDirectory,
        memory: MemoryBudget,
        totals: TrafficTotals,
        tickets: TicketIssuer,
        logs: ServerLogs,
        shares: ClientShares,
        share: ClientShare,
        logger: Logger,
        loop: any EventLoop
    ) {
        self.tickets = tickets
        self.sessionLoop = sessionLoop
        self.rights = rights
        self.policy = rights.policy(configuration)
        self.visitorLimits = rights.visitors ?? configuration.visitors
        self.fronts = configuration.hasFrontsOnPublicPorts ? configuration.trustedFronts : nil
        self.pace = rights.bandwidth.map { RateLimit(bytesPerSecond: $0, now: .now) }
        self.limits = configuration.serverLimits
        self.waitingRoom = PendingVisitors(configuration.serverLimits)
        self.drainTimeout = configuration.drainTimeout
        self.refusedVisitors = logs.refusedVisitors
        self.shares = shares
        self.share = share
        sessionLoop.share = share
        self.ports = PublicPorts(
            sessionLoop: sessionLoop,
            registry: registry,
            limits: configuration.serverLimits,
            refusals: logs.refusedPorts,
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
    func start(_ handle: ServerSessionHandle, from peer: String, onEnd: @escaping (ServerSessionHandle) -> Void) {
        self.handle = handle
        self.peer = peer
        self.onEnd = onEnd
        ports.start(handle, self)
        sessionLoop.start(self)
        watchExpiry()
    }

    /// The operator has changed the client's rights: ports that it may not have any more are closed, and everything that
    /// comes is judged by the new ones. Streams that live go on, and the session keeps its number of streams.
    func update(_ rights: ClientRights, _ configuration: ServerConfiguration) {
        let before = self.rights
        self.rights = rights
        policy = rights.policy(configuration)
        visitorLimits = rights.visitors ?? configuration.visitors
        fronts = configuration.hasFrontsOnPublicPorts ? configuration.trustedFronts : nil
        limits = configuration.serverLimits
        ports.limits = limits
        drainTimeout = configuration.drainTimeout
        watchExpiry()
        if pace == nil, rights.bandwidth != nil, sessionLoop.streamCount > 0 {
            logger.notice(
                "the client's new bandwidth holds for new visitors",
                metadata: ["visitors_that_go_on": "\(sessionLoop.streamCount)"]
            )
        }
        pace = RateLimit.updated(pace, bytesPerSecond: rights.bandwidth)
        applyRightsToTunnels()
        if before.maximumStreams != rights.maximumStreams {
            logger.notice("the client's number of streams holds from its next session on")
        }
    }

    /// Closes the ports that the client may not have any more, and holds visitors of the others to the new limits.
    private func applyRightsToTunnels() {
        var kept = 0
        for listener in ports.published.sorted(by: { $0.tunnel < $1.tunnel }) {
            guard let door = admissions[listener.tunnel] else { continue }
            if let refusal = refusal(of: door.request, at: listener, beside: kept) {
                logger.notice(
                    "port closed: the client's rights have changed",
                    metadata: [
                        "port": "\(listener.port)", "tunnel": "\(listener.tunnel)", "reason": "\(refusal)",
                        "visitors_that_go_on": "\(door.gate.visitors)",
                    ]
                )
                admissions[listener.tunnel] = nil
                ports.withdraw(listener)
                chargeBookkeeping()
                sessionLoop.run(.unbound(listener.tunnel, refusal))
                continue
            }
            kept += 1
            guard let limits = visitorLimits.narrowed(by: door.request.visitors) else { continue }
            if door.gate.visitors > 0, limits != door.gate.limits {
                logger.notice(
                    "new limits hold for new visitors; those who are there go on under the old ones",
                    metadata: [
                        "tunnel": "\(listener.tunnel)", "visitors_that_go_on": "\(door.gate.visitors)",
                        "changed": "\(limits.keys(thatDifferFrom: door.gate.limits).joined(separator: ","))",
                    ]
                )
            }
            door.pace = RateLimit.updated(door.pace, bytesPerSecond: limits.bandwidth)
            door.gate.limits = limits
        }
    }

    /// Why the client may not have a public port any more; nil if it may.
    private func refusal(of request: BindRequest, at listener: TCPIngress, beside others: Int) -> Refusal? {
        if let most = rights.maximumTunnels, others >= most {
            return Refusal(.limit, "this client may have \(most) tunnels")
        }
        do throws(Refusal) {
            let now = BindRequest(tunnel: request.tunnel, address: request.address, port: listener.port)
            let addresses = Set(try policy.addresses(for: now))
            guard listener.requestedAddresses.isSubset(of: addresses) else {
                return Refusal(.portNotAllowed, "this client may not have the port on these addresses any more")
            }
            return nil
        } catch {
            return error
        }
    }

    /// Ends the session when the client's time is over.
    private func watchExpiry() {
        expiry?.cancel()
        guard let expires = rights.expires else { return }
        // At most a day at a time: the wall clock may be set meanwhile.
        let left = min(max(0, expires - WallClock.unixSeconds), 86_400)
        expiry = loop.assumeIsolated().scheduleTask(in: .seconds(left)) {
            guard !self.sessionLoop.isEnded else { return }
            guard let refusal = self.rights.refusal(now: WallClock.unixSeconds) else { return self.watchExpiry() }
            self.sessionLoop.run(.end(Refusal(.goingAway, refusal.text)))
        }
    }

    // MARK: For the handle

    /// The tunnels that are public, by number.
    var statistics: [TunnelStatistics] {
        admissions.values.map(\.statistics).filter { $0.place != nil }.sorted { $0.tunnel < $1.tunnel }
    }

    func probe(timeout: TimeAmount) -> EventLoopFuture<Bool> { sessionLoop.probe(timeout: timeout) }

    func end(_ reason: Refusal) -> EventLoopFuture<Void> {
        sessionLoop.run(.end(reason))
        return drained.futureResult
    }

    /// The server stops: streams may end, but a carrier that is lost is not replaced.
    func drain(_ reason: Refusal) -> EventLoopFuture<Void> {
        endsWithCarrier = true
        beginDraining(reason)
        return drained.futureResult
    }

    private func beginDraining(_ reason: Refusal) {
        sessionLoop.run(.drain(reason))
        stopAccepting()
        if sessionLoop.streamCount == 0 || (endsWithCarrier && !sessionLoop.hasCarrier) {
            sessionLoop.run(.end(reason))
        }
    }

    func sessionNumbersRunOut(_ sessionLoop: SessionLoop) {
        guard !isDraining else { return }
        let reason = Refusal(.goingAway, "this session has used up its stream numbers; begin another")
        beginDraining(reason)
        loop.assumeIsolated().scheduleTask(in: TimeAmount(drainTimeout)) { sessionLoop.run(.end(reason)) }
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

    func session(_ sessionLoop: SessionLoop, bind request: BindRequest) {
        guard !isDraining else {
            return sessionLoop.run(.unbound(request.tunnel, Refusal(.goingAway, "the server is stopping")))
        }
        if let most = rights.maximumTunnels, ports.count >= most {
            return ports.refuse(request, Refusal(.limit, "this client may have \(most) tunnels"))
        }
        let addresses: [String]
        do throws(Refusal) {
            addresses = try policy.addresses(for: request)
        } catch {
            return ports.refuse(request, error)
        }
        // A client with a range of its own takes no ports from others.
        let capacity = rights.allowedPorts == nil ? policy.allowedPorts.count : nil
        if let refusal = ports.room(for: request, shares: shares, of: capacity) {
            return ports.refuse(request, refusal)
        }
        guard let limits = visitorLimits.narrowed(by: request.visitors) else {
            return ports.refuse(request, Refusal(.portNotAllowed, "allow and deny must be blocks such as 10.0.0.0/8"))
        }
        admissions[request.tunnel] = TunnelAdmission(
            request,
            gate: VisitorGate(limits, rememberedAddresses: self.limits.rememberedAddresses),
            statistics: TunnelStatistics(tunnel: request.tunnel, role: .server, totals: totals)
        )
        chargeBookkeeping()
        ports.bind(request, addresses, allowed: policy.allowedPorts)
    }

    func ports(_ ports: PublicPorts, refused tunnel: UInt16) {
        admissions[tunnel] = nil
        chargeBookkeeping()
    }

    func ports(_ ports: PublicPorts, published listener: TCPIngress) {
        // The client's rights may have changed while the port was being bound.
        if let door = admissions[listener.tunnel],
            let refusal = refusal(of: door.request, at: listener, beside: ports.published.count - 1)
        {
            admissions[listener.tunnel] = nil
            ports.withdraw(listener)
            chargeBookkeeping()
            return sessionLoop.run(.unbound(listener.tunnel, refusal))
        }
        let addresses = listener.addresses
        admissions[listener.tunnel]?.statistics.published(address: addresses, port: listener.port)
        let visitors = admissions[listener.tunnel]?.gate.limits.description ?? ""
        logger.notice(
            "port is public",
            metadata: [
                "address": "\(addresses)", "port": "\(listener.port)", "tunnel": "\(listener.tunnel)",
                "visitors": "\(visitors)",
            ]
        )
        sessionLoop.run(.bound(Binding(tunnel: listener.tunnel, address: addresses, port: listener.port)))
    }

    // MARK: Visitors

    func ports(_ ports: PublicPorts, visitedBy channel: any Channel, at tunnel: UInt16) throws {
        try SocketOptions.visitor(channel)
        let peer = channel.peerAddress
        let visitor = peer?.inShort ?? "unknown"
        let address = peer?.ip
        guard let fronts, fronts.contains(peer) else {
            return try enter(channel, tunnel, visitor, address, at: nil)
        }
        try channel.pipeline.syncOperations.addHandler(
            ProxyProtocolHandler(
                isRequired: true,
                timeout: TimeAmount(limits.handshakeTimeout)
            ) { [weak self] header in
                guard let self else { return channel.close(promise: nil) }
                // A front's own check of health is about nobody, and comes as the front.
                let ends = header?.ends
                try self.enter(
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
        guard let door = admissions[tunnel] else { return channel.close(promise: nil) }
        if let refusal = shortage ?? door.gate.admit(address, now: .now) {
            let metadata: Logger.Metadata = ["visitor": "\(visitor)", "reason": "\(refusal.rawValue)"]
            refusedVisitors.log("visitor refused", at: .info, to: logger, metadata)
            ServerMetrics.refused(refusal)
            return try channel.pipeline.syncOperations.addHandler(RefusedVisitor())
        }
        share.visitors.add(1, ordering: .relaxed)
        shares.visitors.add(1, ordering: .relaxed)
        channel.closeFuture.assumeIsolated().whenComplete { [share, shares] _ in
            door.gate.left()
            share.visitors.subtract(1, ordering: .relaxed)
            shares.visitors.subtract(1, ordering: .relaxed)
        }
        let visit = OpenRequest(
            tunnel: tunnel,
            visitor: visitor,
            publicAddress: door.tellsAddress ? place ?? channel.localAddress?.inShort ?? "" : ""
        )
        let pipe = StreamPipe(
            session: sessionLoop,
            policy: streamPolicy(door),
            identity: StreamIdentity(visitor: visitor, statistics: door.statistics),
            logger: logger
        ) { [weak self] pipe in
            self?.admit(pipe, visit)
        }
        try channel.pipeline.syncOperations.addHandler(pipe)
    }

    /// What there is too little of for another visitor of this client; nil if there is enough.
    private var shortage: VisitorRefusal? {
        if memory.pressure >= .refusesStreams { return .noMemory }
        let held = share.memory.load(ordering: .relaxed)
        if shares.isExhausted(held, used: memory.used, capacity: memory.capacity) { return .noShare }
        guard let descriptors = ProcessUsage.descriptorLimit else { return nil }
        let own = share.visitors.load(ordering: .relaxed)
        let all = shares.visitors.load(ordering: .relaxed)
        let capacity = max(descriptors - limits.reservedDescriptors, descriptors / 2)
        return shares.isExhausted(own, used: all, capacity: capacity) ? .noShare : nil
    }

    private func streamPolicy(_ door: TunnelAdmission) -> StreamPolicy {
        StreamPolicy(
            idleTimeout: door.gate.limits.idleSeconds.map { .seconds(Int64($0)) },
            paces: [pace, door.pace].compactMap { $0 }
        )
    }

    private func admit(_ pipe: StreamPipe, _ visit: OpenRequest) {
        guard !sessionLoop.isEnded, !isDraining else { return pipe.reset(.goingAway) }
        if !waitingRoom.isWaitedFor(visit.tunnel), let id = sessionLoop.open(visit, pipe) { return pipe.open(id) }
        let isUsedUp = sessionLoop.room(at: visit.tunnel) == .usedUp
        guard !(isUsedUp && waitingRoom.isFull) else { return refuseForStreams(pipe, visit) }
        waitingRoom.enter(pipe, visit, now: .now)
        if isUsedUp {
            waitingRoom.hurry(visit.tunnel, now: .now)
            refusedVisitors.log(
                "all streams of the session are used; visitors are refused unless some end soon",
                at: .warning,
                to: logger,
                ["tunnel": "\(visit.tunnel)", "streams": "\(sessionLoop.streamCount)"]
            )
        }
        setAccepting()
        watchWaiting()
    }

    /// Tells the session's account what tunnels and waiting visitors take.
    private func chargeBookkeeping() {
        let remembered = admissions.values.reduce(0) { $0 + $1.gate.rememberedCost }
        sessionLoop.fixedCost =
            admissions.count * MemoryBudget.tunnelCost + waitingRoom.count * MuxLimits.streamCost + remembered
    }

    private func refuseForStreams(_ pipe: StreamPipe, _ visit: OpenRequest) {
        let metadata: Logger.Metadata = [
            "visitor": "\(visit.visitor)", "tunnel": "\(visit.tunnel)", "streams": "\(sessionLoop.streamCount)",
            "reason": "\(VisitorRefusal.noStreams.rawValue)",
        ]
        refusedVisitors.log("visitor refused", at: .warning, to: logger, metadata)
        ServerMetrics.refused(.noStreams)
        pipe.reset(.busy)
    }

    /// Without a carrier some visitors wait here, where it is known since when; all others wait in the listen queue. With
    /// one they wait there while services are slow, and come in to be refused once the streams are used up.
    private func setAccepting() {
        let hasCarrier = sessionLoop.hasCarrier
        let acceptsAll = ports.setAccepting { tunnel in
            guard hasCarrier else { return !waitingRoom.isFull }
            return !waitingRoom.isWaitedFor(tunnel) || sessionLoop.room(at: tunnel) == .usedUp
        }
        isHoldingBack = !acceptsAll
        chargeBookkeeping()
    }

    /// Resets those who have waited too long for a carrier, a stream or a service.
    private func watchWaiting() {
        waitingTimer?.cancel()
        waitingTimer = nil
        guard let due = waitingRoom.nextDeadline else { return }
        waitingTimer = loop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(due.nanoseconds)) {
            for visitor in self.waitingRoom.expired(now: .now) {
                guard visitor.waitsForStream, self.sessionLoop.hasCarrier else {
                    visitor.pipe.reset(.timeout)
                    continue
                }
                self.refuseForStreams(visitor.pipe, visitor.visit)
            }
            self.setAccepting()
            self.watchWaiting()
        }
    }

    private func openWaiting(_ tunnel: UInt16) {
        while let next = waitingRoom.first(tunnel) {
            guard next.pipe.isPending else {
                waitingRoom.removeFirst(tunnel)
                continue
            }
            switch sessionLoop.room(at: tunnel) {
            case .later: return
            case .usedUp: return waitingRoom.hurry(tunnel, now: .now)
            case .free:
                guard let id = sessionLoop.open(next.visit, next.pipe) else { return }
                waitingRoom.removeFirst(tunnel)
                next.pipe.open(id)
            }
        }
    }

    func sessionRoomChanged(_ sessionLoop: SessionLoop) {
        if !waitingRoom.isEmpty || isHoldingBack {
            let due = waitingRoom.nextDeadline
            for tunnel in waitingRoom.tunnels { openWaiting(tunnel) }
            setAccepting()
            if waitingRoom.nextDeadline != due { watchWaiting() }
        }
        if isDraining, sessionLoop.streamCount == 0, !sessionLoop.isEnded {
            sessionLoop.run(.end(Refusal(.goingAway, "the server is stopping", retryAfter: 1)))
        }
    }

    // MARK: Carriers

    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier) {
        totals.metrics.lostCarriers.increment()
        guard !endsWithCarrier else { return sessionLoop.run(.end(Refusal(.goingAway, "the server is stopping"))) }
        let now = Instant.now
        lostAt = now
        handle?.waitsUntil = now + sessionLoop.grace
        logger.notice(
            "carrier lost; the session waits for another one",
            metadata: [
                "reason": "\(carrier.reason)", "from": "\(peer)", "after": "\(carrier.age.inShort)",
                "waits": "\(sessionLoop.grace.inShort)", "streams": "\(sessionLoop.streamCount)",
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
        _ proof: ServerHandshake.Resumed
    ) -> Refusal? {
        guard !sessionLoop.isEnded else { return Refusal(.replaced, "the session has just ended") }
        guard resumption.epoch > epoch else { return Refusal(.replaced, "a newer carrier has been here") }
        epoch = resumption.epoch
        self.peer = peer
        carriers += 1
        let first = proof.resumed(received: sessionLoop.received, ticket: ticket)
        sessionLoop.run(.attach(carrier, peerReceived: resumption.received, first: first))
        guard !sessionLoop.isEnded else { return nil }
        totals.metrics.resumes.increment()
        handle?.waitsUntil = nil
        let pause = lostAt.map { Instant.now.since($0) } ?? .zero
        lostAt = nil
        logger.notice(
            "session resumed",
            metadata: ["from": "\(peer)", "carriers": "\(carriers)", "without_carrier": "\(pause.inShort)"]
        )
        return nil
    }

    /// A ticket for the client's next connection.
    private var ticket: [UInt8] {
        guard let owner = handle?.owner else { return [] }
        return tickets.issue(to: owner.client + owner.instance, now: WallClock.unixSeconds)
    }

    // MARK: The rest

    func session(_ sessionLoop: SessionLoop, goingAway reason: Refusal) {
        logger.info("client is going away", metadata: ["reason": "\(reason)"])
        stopAccepting()
        if sessionLoop.streamCount == 0 { sessionLoop.run(.end(Refusal(.goingAway, "as asked"))) }
    }

    func session(_ sessionLoop: SessionLoop, ended end: SessionEnd) {
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
