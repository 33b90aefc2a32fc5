import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// The admission of a session's visitors: from an accepted connection to a stream.
///
/// ```
///  accept ──▶ PROXY header ──▶ gate ──▶ openStream ──▶ stream
///  (channel)  (fronts only)     │            │            ▲
///                               ▼            ▼            │
///                             reset      pending ─────────┘
///                                            │
///                                            ▼
///                                    reset at the deadline
/// ```
///
/// A visitor is pending while the session has no carrier or no room. Pending visitors are bounded; further ones wait in
/// the kernel's listen queue.
final class VisitorAdmission {
    let sessionLoop: SessionLoop
    let ports: PublicPorts
    let clock: ServerClock
    let logger: Logger
    let resources: ServerResources
    let quota: ClientQuota
    private(set) var rules: SessionRules
    /// The tunnels that are public or are about to be, by number.
    private var tunnels: [UInt16: TunnelAdmission] = [:]
    let bandwidth: ClientBandwidth
    var pending: PendingStreams<any StreamEnd>
    var pendingTimer: Scheduled<Void>?
    /// Whether some tunnel's visitors wait in its listen queue.
    var usesListenQueue = false
    /// The streams of the router's visitors.
    var routed: [VisitorLink.ID: RoutedStream] = [:]
    /// Whether the router knows that the session has no carrier.
    private var isPaused = false

    init(
        _ sessionLoop: SessionLoop,
        _ ports: PublicPorts,
        rules: SessionRules,
        resources: ServerResources,
        share: ClientShare,
        bandwidth: ClientBandwidth,
        clock: ServerClock,
        logger: Logger
    ) {
        self.sessionLoop = sessionLoop
        self.ports = ports
        self.rules = rules
        self.resources = resources
        quota = ClientQuota(resources: resources, share: share)
        self.clock = clock
        self.logger = logger
        self.bandwidth = bandwidth
        pending = PendingStreams(
            capacity: rules.limits.waitingVisitors,
            timeout: rules.limits.waitingTime,
            streamTimeout: rules.limits.waitingTimeForStream
        )
    }

    // MARK: Tunnels

    subscript(tunnel: UInt16) -> TunnelAdmission? { tunnels[tunnel] }

    /// The tunnels that are public, by number.
    var statistics: [TunnelStatistics] {
        tunnels.values.map(\.statistics).filter { $0.place != nil }.sorted { $0.tunnel < $1.tunnel }
    }

    /// Reports to the router whether the session has a carrier.
    func reportPause() {
        guard isPaused == sessionLoop.hasCarrier else { return }
        isPaused.toggle()
        for tunnel in tunnels.values { tunnel.member?.isPaused = isPaused }
    }

    /// A tunnel is public. The session may have lost its carrier meanwhile, and the client may have reported on its service.
    func published(_ tunnel: TunnelAdmission, _ member: RouteMember?) {
        tunnel.member = member
        member?.isPaused = isPaused
        member?.isUp = tunnel.isHealthy
    }

    func add(_ request: BindRequest, _ limits: VisitorLimits) {
        tunnels[request.tunnel] = TunnelAdmission(
            request,
            limits,
            rememberedAddresses: rules.limits.rememberedAddresses,
            totals: resources.totals
        )
        chargeBookkeeping()
    }

    /// Forgets a tunnel, and resets its visitors that have no stream yet.
    func remove(_ tunnel: UInt16) {
        tunnels[tunnel] = nil
        releaseStreams(of: tunnel)
        let waiting = pending.removeAll(at: tunnel)
        for visitor in waiting { visitor.pipe.reset(.goingAway) }
        chargeBookkeeping()
        guard !waiting.isEmpty else { return }
        // Other tunnels may have stopped accepting because too many were pending.
        setAccepting()
        watchDeadlines()
    }

    /// Applies other rules to visitors that arrive from now on. Limits of a tunnel are its own: ``TunnelAdmission``.
    func update(_ rules: SessionRules) {
        self.rules = rules
    }

    /// Charges the session's account for tunnels and pending visitors.
    func chargeBookkeeping() {
        let remembered = tunnels.values.reduce(0) { $0 + $1.gate.rememberedCost }
        sessionLoop.fixedCost =
            tunnels.count * MemoryBudget.tunnelCost + pending.count * MuxLimits.streamCost + remembered
    }

    // MARK: From the accepted connection to a stream

    /// Takes an accepted connection. A front's connection first has to name its visitor, in a PROXY header.
    func accept(_ channel: any Channel, at tunnel: UInt16) throws {
        try SocketOptions.visitor(channel)
        quota.count(channel)
        try PortVisitor.identify(channel, behind: rules.fronts) { [weak self] visitor in
            guard let self else { return channel.close(promise: nil) }
            try admit(channel, visitor, at: tunnel)
        }
    }

    /// Admits a visitor whose address is known, or resets it.
    private func admit(_ channel: any Channel, _ visitor: PortVisitor, at number: UInt16) throws {
        guard let tunnel = tunnels[number] else { return channel.close(promise: nil) }
        let shortage = quota.shortage(rules.limits, isCounted: true)
        let unhealthy: VisitorRefusal? = tunnel.isHealthy ? nil : .unhealthy
        if let refusal = unhealthy ?? shortage ?? tunnel.gate.admit(visitor.address, now: clock.now()) {
            note(refusal, of: visitor.description)
            return try channel.pipeline.syncOperations.addHandler(RefusedVisitorHandler())
        }
        channel.closeFuture.assumeIsolated().whenComplete { _ in tunnel.gate.left() }
        var request = OpenRequest(tunnel: number, visitor: visitor.description)
        if tunnel.request.visitors.wantsPublicAddress { request.publicAddress = visitor.publicAddress }
        let pipe = StreamPipe(
            session: sessionLoop,
            policy: tunnel.streamPolicy(bandwidth.limit),
            identity: StreamIdentity(visitor: visitor.description, statistics: tunnel.statistics),
            logger: logger
        ) { [weak self] pipe in
            self?.openStream(pipe, request)
        }
        try channel.pipeline.syncOperations.addHandler(pipe)
    }

    /// What the flow of a new sender at a UDP port belongs to.
    func flow(from remote: SocketAddress, at tunnel: UInt16) -> IngressFlow.Admission {
        guard let tunnel = tunnels[tunnel], !sessionLoop.isEnded, ports.isOpen else { return .refused }
        let shortage = tunnel.isHealthy ? quota.shortage(rules.limits, isCounted: false) : .unhealthy
        if let refusal = shortage ?? tunnel.gate.admit(remote.ip, now: clock.now()) {
            if case .tooMany = refusal { return .full }
            note(refusal, of: remote.inShort)
            return .refused
        }
        let visitor = remote.inShort
        let identity = StreamIdentity(visitor: visitor, kind: .udp, statistics: tunnel.statistics)
        let request = OpenRequest(tunnel: tunnel.request.tunnel, kind: .udp, visitor: visitor)
        var opening = IngressFlow.Opening(sessionLoop, request, identity: identity, logger: logger)
        opening.policy = tunnel.streamPolicy(bandwidth.limit)
        opening.onEnd = { _ in tunnel.gate.left() }
        return .flow(opening)
    }

    func note(_ refusal: VisitorRefusal, of visitor: String) {
        let metadata: Logger.Metadata = ["visitor": "\(visitor)", "reason": "\(refusal.rawValue)"]
        resources.logs.refusedVisitors.log("visitor refused", at: .info, to: logger, metadata)
        resources.metrics.refused(refusal)
    }

    /// Opens a stream for a visitor, or makes it pending.
    func openStream(_ pipe: any StreamEnd, _ request: OpenRequest) {
        guard !sessionLoop.isEnded, ports.isOpen else { return pipe.reset(.goingAway) }
        if !pending.hasVisitors(at: request.tunnel), let id = sessionLoop.open(request, pipe) { return pipe.begin(id) }
        let isUsedUp = sessionLoop.room(at: request.tunnel) == .usedUp
        guard !(isUsedUp && pending.isFull) else { return refuseForStreams(pipe, request) }
        pending.append(pipe, request, now: clock.now())
        if isUsedUp {
            pending.shortenDeadlines(at: request.tunnel, now: clock.now())
            resources.logs.refusedVisitors.log(
                "all streams of the session are used; visitors are refused unless some end soon",
                at: .warning,
                to: logger,
                ["tunnel": .number(request.tunnel), "streams": .number(sessionLoop.streamCount)]
            )
        }
        setAccepting()
        watchDeadlines()
    }

    /// Resets a visitor because all streams of the session are in use.
    func refuseForStreams(_ pipe: any StreamEnd, _ request: OpenRequest) {
        let metadata: Logger.Metadata = [
            "visitor": "\(request.visitor)", "tunnel": .number(request.tunnel),
            "streams": .number(sessionLoop.streamCount),
            "reason": "\(VisitorRefusal.noStreams.rawValue)",
        ]
        resources.logs.refusedVisitors.log("visitor refused", at: .warning, to: logger, metadata)
        resources.metrics.refused(.noStreams)
        pipe.reset(.busy)
    }
}
