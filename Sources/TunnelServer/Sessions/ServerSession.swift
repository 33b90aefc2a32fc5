import Logging
import Mux
import NIOCore
import TunnelCore

/// A client's session at the server, from its proof to its end.
///
/// ```
///                       ┌─ PublicPorts        requests for ports ──▶ bound ports
///  SessionLoop ◀──▶ ServerSession
///                       ├─ VisitorAdmission   accepted connections ──▶ streams
///                       ├─ ClientForwards     the client's streams ──▶ destinations
///                       ├─ ProbeStreams       the client's streams ──▶ measurements
///                       ├─ SessionCarriers    loss, resume, tickets
///                       └─ SessionExpiry      the end of the client's access
/// ```
///
/// It lives on one event loop. Other loops reach it by its ``ServerSessionHandle``.
final class ServerSession {
    let sessionLoop: SessionLoop
    let ports: PublicPorts
    let admission: VisitorAdmission
    let forwards: ClientForwards
    let probes: ProbeStreams
    let carriers: SessionCarriers
    let expiry: SessionExpiry
    let bandwidth: ClientBandwidth
    let logger: Logger
    /// The rules that requests are judged by.
    var rules: SessionRules
    private let resources: ServerResources
    private let loop: any EventLoop
    private var onEnd: ((ServerSessionHandle, GoneClients.Entry?) -> Void)?
    /// The tunnels that the client wants and does not have.
    var refusedTunnels: RefusedTunnels
    private var farewell: GoneClients.Entry?
    /// Whether the loss of the carrier ends the session, because the server stops.
    private var endsWithCarrier = false
    private let ended: EventLoopPromise<Void>
    private var handle: ServerSessionHandle?

    init(
        sessionLoop: SessionLoop,
        rights: ClientRights,
        configuration: ServerConfiguration,
        resources: ServerResources,
        share: ClientShare,
        binder: (any PortBinder)? = nil,
        network: (any DestinationNetwork)? = nil,
        clock: ServerClock = ServerClock(),
        logger: Logger,
        loop: any EventLoop
    ) {
        self.sessionLoop = sessionLoop
        self.resources = resources
        self.logger = logger
        self.loop = loop
        ended = loop.makePromise()
        sessionLoop.share = share
        rules = SessionRules(rights, configuration)
        refusedTunnels = RefusedTunnels(limit: configuration.limits.tunnels)
        bandwidth = ClientBandwidth(rights)
        ports = PublicPorts(
            directory: resources.ports,
            cluster: resources.cluster,
            publicAddresses: rules.policy.publicAddresses,
            fronts: resources.fronts,
            binder: binder ?? SystemPortBinder(routes: resources.routes, groups: resources.groups),
            clock: clock,
            limits: rules.limits,
            dropped: resources.totals.metrics.droppedDatagrams,
            refusals: resources.logs.refusedPorts,
            logger: logger,
            loop: loop
        )
        ports.access = rules.unixAccess
        admission = VisitorAdmission(
            sessionLoop,
            ports,
            rules: rules,
            resources: resources,
            share: share,
            bandwidth: bandwidth,
            clock: clock,
            logger: logger
        )
        forwards = ClientForwards(
            sessionLoop,
            rules: rules,
            quota: ClientQuota(resources: resources, share: share),
            bandwidth: bandwidth,
            network: network ?? SystemNetwork(loop: loop, client: rights.verifier.id),
            clock: clock,
            logger: logger
        )
        carriers = SessionCarriers(
            sessionLoop,
            mostLanes: configuration.serverLimits.carriersPerSession,
            metrics: resources.totals.metrics,
            tickets: resources.tickets,
            clock: clock,
            logger: logger
        )
        probes = ProbeStreams(
            sessionLoop,
            quota: ClientQuota(resources: resources, share: share),
            bandwidth: bandwidth,
            logger: logger
        )
        expiry = SessionExpiry(on: loop, clock: clock) { refusal in
            guard !sessionLoop.isEnded else { return }
            sessionLoop.run(.end(Refusal(.goingAway, refusal.text)))
        }
    }

    /// Starts the session on its first carrier.
    ///
    /// - Parameter onEnd: called once the session has ended and its ports are free, with what the operator sees of the
    ///   client then; nil if that is nothing.
    func start(
        _ handle: ServerSessionHandle,
        from origin: CarrierOrigin,
        onEnd: @escaping (ServerSessionHandle, GoneClients.Entry?) -> Void
    ) {
        self.handle = handle
        self.onEnd = onEnd
        carriers.start(handle, from: origin)
        ports.start(handle, self)
        sessionLoop.start(self)
        expiry.watch(rules.rights)
    }

    // MARK: State

    /// The tunnels that are public, by number.
    var statistics: [TunnelStatistics] { admission.statistics }

    /// The connections to destinations that the client has named, and the visitors of all tunnels.
    var allStatistics: [TunnelStatistics] { statistics + [forwards.statistics] }

    /// The answer to a client's question about itself and about places that it wants.
    private func facts(_ places: [PublicPlace]) -> ProbeFacts {
        ProbeFacts(
            places,
            origin: carriers.origin,
            rules: rules,
            owner: handle?.owner,
            ports: resources.ports,
            milliseconds: WallClock.unixMilliseconds
        )
    }

    /// Whether another server has taken a place over for a later session of the same client.
    private var isReplaced = false

    /// Whether the session accepts nothing new.
    var isDraining: Bool { !ports.isOpen }

    // MARK: Drain and end

    /// Ends the session at once.
    ///
    /// - Returns: done once its ports are free.
    func end(_ reason: Refusal) -> EventLoopFuture<Void> {
        sessionLoop.run(.end(reason))
        return ended.futureResult
    }

    /// Lets the streams finish, because the server stops. A carrier that is lost is not replaced.
    ///
    /// - Returns: done once the session has ended.
    func drain(_ reason: Refusal) -> EventLoopFuture<Void> {
        endsWithCarrier = true
        beginDraining(reason)
        return ended.futureResult
    }

    private func beginDraining(_ reason: Refusal) {
        sessionLoop.run(.drain(reason))
        stopAccepting()
        if sessionLoop.streamCount == 0 || (endsWithCarrier && !sessionLoop.hasCarrier) {
            sessionLoop.run(.end(reason))
        }
    }

    /// Closes the ports, and resets the visitors that have no stream.
    private func stopAccepting() {
        ports.close()
        admission.stop()
    }
}

// MARK: - Reports of the session loop

extension ServerSession: ServerSessionOwner {
    func session(_ sessionLoop: SessionLoop, bind request: BindRequest) {
        var request = request
        guard !isDraining else {
            return sessionLoop.run(.unbound(request.tunnel, Refusal(.goingAway, "the server is stopping")))
        }
        if let refusal = rules.refusalOfAnother(beside: ports.count) { return ports.refuse(request, refusal) }
        let addresses: [String]
        do throws(Refusal) {
            if let refusal = PortRefusal.ofGroup(request) { throw refusal }
            if let name = request.name { request.name = try rules.names.permitted(name) }
            addresses = try rules.addresses(for: request)
        } catch {
            return ports.refuse(request, error)
        }
        let allowed = rules.policy.allowedPorts
        // A client with a range of its own takes no ports from others.
        let capacity = rules.rights.allowedPorts == nil ? allowed.count : nil
        if let refusal = ports.refusalOfAnother(shares: resources.shares, of: capacity) {
            return ports.refuse(request, refusal)
        }
        guard let limits = rules.visitorLimits(for: request) else {
            return ports.refuse(request, Refusal(.portNotAllowed, "allow and deny must be blocks such as 10.0.0.0/8"))
        }
        admission.add(request, limits)
        ports.bind(request, addresses, allowed: allowed)
    }

    func session(_ sessionLoop: SessionLoop, unbind tunnel: UInt16) {
        refusedTunnels.settled(tunnel)
        let refusal = Refusal(.goingAway, "as asked")
        guard let listener = ports.published.first(where: { $0.tunnel == tunnel }) else {
            // The port is being bound: it is withdrawn once it is public.
            return admission.remove(tunnel)
        }
        logger.notice("port given back", metadata: ["place": "\(listener.place)", "tunnel": "\(tunnel)"])
        withdraw(listener, refusal)
    }

    func session(_ sessionLoop: SessionLoop, state: TunnelState) {
        guard let tunnel = admission[state.tunnel] else { return }
        tunnel.statistics.health = state.isUp ? .up : .down(state.reason)
        // Without a health check the report is about the last visitor alone.
        if tunnel.request.hasHealthCheck { tunnel.member?.isUp = state.isUp }
    }

    func session(_ sessionLoop: SessionLoop, open stream: StreamID, _ request: OpenRequest) {
        guard !isDraining else { return sessionLoop.run(.reset(stream, .goingAway)) }
        if let home = resources.peerHome { return home.open(stream, request, in: sessionLoop) }
        guard request.kind != .probe else { return probes.open(stream, request, rules.limits, facts: facts) }
        forwards.open(stream, request)
    }

    func sessionNumbersRunOut(_ sessionLoop: SessionLoop) {
        guard !isDraining else { return }
        let reason = Refusal(.goingAway, "this session has used up its stream numbers; begin another")
        beginDraining(reason)
        // The client begins its next session at once, perhaps at this server, and wants the same ports.
        for listener in ports.published { ports.withdraw(listener) }
        loop.assumeIsolated().scheduleTask(in: TimeAmount(rules.drainTimeout)) { sessionLoop.run(.end(reason)) }
    }

    func sessionRoomChanged(_ sessionLoop: SessionLoop) {
        admission.roomChanged()
        if isDraining, sessionLoop.streamCount == 0, !sessionLoop.isEnded {
            sessionLoop.run(.end(Refusal(.goingAway, "the server is stopping", retryAfter: 1)))
        }
    }

    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier) {
        resources.totals.metrics.lostCarriers.increment()
        guard !endsWithCarrier else { return sessionLoop.run(.end(Refusal(.goingAway, "the server is stopping"))) }
        carriers.noteLoss(carrier)
        admission.carrierLost()
        endIfReplaced()
    }

    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier, of lane: LaneID) {
        // The client leaves the lane, and its RETIRE follows over another one.
        guard !carrier.isClosedByPeer else { return carriers.noteLeft(lane) }
        resources.totals.metrics.lostCarriers.increment()
        carriers.noteLoss(carrier, of: lane)
    }

    func session(_ sessionLoop: SessionLoop, left lane: LaneID) {
        carriers.noteLeft(lane)
    }

    func session(_ sessionLoop: SessionLoop, goingAway reason: Refusal) {
        logger.info("client is going away", metadata: ["reason": "\(reason)"])
        stopAccepting()
        if sessionLoop.streamCount == 0 { sessionLoop.run(.end(Refusal(.goingAway, "as asked"))) }
    }

    func session(_ sessionLoop: SessionLoop, ended end: SessionEnd) {
        expiry.cancel()
        probes.stop()
        logger.notice("session ended", metadata: ["reason": "\(end)"])
        farewell = handle.flatMap { GoneClients.Entry(self, $0, end) }
        stopAccepting()
        ports.releaseAll()
    }
}

// MARK: - Reports of the ports

extension ServerSession: PublicPortsOwner {
    func ports(_ ports: PublicPorts, accepted channel: any Channel, at tunnel: UInt16) throws {
        try admission.accept(channel, at: tunnel)
    }

    func ports(_ ports: PublicPorts, flowFrom remote: SocketAddress, at tunnel: UInt16) -> IngressFlow.Admission {
        admission.flow(from: remote, at: tunnel)
    }

    func ports(_ ports: PublicPorts, memberFor tunnel: UInt16) -> RouteMember? {
        guard let request = admission[tunnel]?.request, let handle else { return nil }
        return RouteMember(admission, request, client: handle.owner.client, owner: handle.facts.client)
    }

    func ports(_ ports: PublicPorts, refused request: BindRequest, _ refusal: Refusal) {
        admission.remove(request.tunnel)
        refusedTunnels.refused(request, refusal)
        sessionLoop.run(.unbound(request.tunnel, refusal))
    }

    func ports(_ ports: PublicPorts, lost listener: any PortListener, _ refusal: Refusal) {
        logger.notice("port given up", metadata: ["place": "\(listener.place)", "reason": "\(refusal.text)"])
        withdraw(listener, refusal)
        guard refusal.code == .replaced else { return }
        isReplaced = true
        endIfReplaced()
    }

    /// Ends the session if its client has begun another one at another server, and has no carrier here. It does not come back
    /// for this one, so the streams must not wait for it.
    private func endIfReplaced() {
        guard isReplaced, !sessionLoop.hasCarrier else { return }
        sessionLoop.run(.end(Refusal(.replaced, "the client has begun another session at another server")))
    }

    func ports(_ ports: PublicPorts, published listener: any PortListener) {
        let tunnel = admission[listener.tunnel]
        guard let tunnel else { return withdraw(listener, Refusal(.goingAway, "as asked")) }
        // The client's rights may have changed while the port was being bound.
        if let refusal = rules.refusal(of: tunnel.request, at: listener, beside: ports.published.count - 1) {
            return withdraw(listener, refusal)
        }
        refusedTunnels.settled(listener.tunnel)
        admission.published(tunnel, listener.member)
        let urls = tunnel.request.name.map { rules.names.urls(of: NamePlace($0), at: resources.routes.ports) }
        let addresses = urls ?? listener.addresses
        tunnel.statistics.published(address: addresses, port: listener.place.port)
        logger.notice(
            "port is public",
            metadata: [
                "address": "\(addresses)", "place": "\(listener.place)", "tunnel": .number(listener.tunnel),
                "visitors": "\(tunnel.gate.limits.description)",
            ]
        )
        var binding = Binding(tunnel: listener.tunnel, address: addresses, port: listener.place.port)
        if let urls { (binding.address, binding.urls) = ("", urls) }
        sessionLoop.run(.bound(binding))
    }

    /// Closes a port that the client may not have any more. Its visitors' streams continue.
    func withdraw(_ listener: any PortListener, _ refusal: Refusal) {
        if refusal.code != .goingAway, let request = admission[listener.tunnel]?.request {
            refusedTunnels.refused(request, refusal)
        }
        admission.remove(listener.tunnel)
        ports.withdraw(listener)
        sessionLoop.run(.unbound(listener.tunnel, refusal))
    }

    func portsAreReleased(_ ports: PublicPorts) {
        guard let handle else { return }
        self.handle = nil
        carriers.end()
        onEnd?(handle, farewell)
        onEnd = nil
        ended.succeed(())
    }
}
