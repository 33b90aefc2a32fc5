import Logging
import Mux
import NIOCore
import TunnelCore

/// A session at the client: asks for the public ports, and connects each visitor's stream to its service.
final class ClientSession: ClientSessionOwner {
    /// An event of the session, for its owner.
    enum Event {
        /// A tunnel is public, and no other session of the client had it.
        case bound(TunnelSpec, Binding)
        /// The carrier is lost, and the session waits for another one.
        case lost(LostCarrier)
        /// A lane's carrier is lost, and the session goes on over others.
        case lostLane(LaneID, LostCarrier)
        /// A lane was left.
        case leftLane(LaneID)
        /// The server is stopping, and has closed the ports. Streams go on until they end.
        case goingAway(Refusal)
        /// The server asks for another carrier within so many seconds.
        case renewal(within: UInt32)
        /// The session is over; `refused` is set if the server refused a port for good.
        case ended(SessionEnd, refused: String?)
    }

    /// The first and the longest wait before a port that could not be bound is requested again.
    static let bindRetries = (first: TimeAmount.seconds(1), longest: TimeAmount.seconds(30))
    /// The same for a port outside the client's rights, which an operator has to grant.
    static let refusalRetries = (first: TimeAmount.minutes(1), longest: TimeAmount.minutes(15))

    let sessionLoop: SessionLoop
    /// The tunnels by their numbers.
    private(set) var tunnels: [Tunnel] = []
    private let source: TunnelSet
    let serviceTimeout: TimeAmount
    let flowSilence: FlowSilence.Limits
    /// The addresses of services that flows use.
    var rotation = FlowRotation()
    let names: HostNames
    /// What SOCKS tunnels may reach now.
    let openPolicy: () -> DestinationPolicy
    /// What SOCKS tunnels have reached.
    let socksDestinations = SocksDestinations()
    private let totals: TrafficTotals
    let logger: Logger
    private var onEvent: ((Event) -> Void)?
    private(set) var isDraining = false
    /// Whether this client stops, so that no session follows.
    private var isStopping = false
    /// Whether the server has acknowledged everything, after ``drain()``.
    private(set) var isDelivered = false
    private var isServerGoingAway = false
    let health: ServiceHealth
    private let checks: HealthChecks
    private var bindRetries: [Int: TimeAmount] = [:]
    /// The scheduled requests of ports that were refused, one for each tunnel.
    private var retries: [Int: Scheduled<Void>] = [:]
    /// Refusals that stay the same, by tunnel.
    private var failures: [Int: RepeatedFailure] = [:]
    private var refused: String?
    /// Tunnels outside the client's rights.
    private var refusedTunnels: Set<Int> = []
    /// The streams of the client's forwards.
    let forwards: ForwardStreams
    private let listeners: ForwardListeners
    let loops: LoopDetector
    let progress: ClientProgress
    /// This session's part, if the client has several.
    private let part: SessionPart?
    private let exitsOnRefusal: Bool
    private let exitsOnForwardFailure: Bool

    init(
        sessionLoop: SessionLoop,
        tunnels: TunnelSet,
        listeners: ForwardListeners,
        limits: ClientLimits,
        totals: TrafficTotals,
        progress: ClientProgress,
        openPolicy: @escaping () -> DestinationPolicy = { DestinationPolicy() },
        serverHost: String = "",
        names: HostNames = .shared,
        part: SessionPart? = nil,
        exitsOnRefusal: Bool = false,
        exitsOnForwardFailure: Bool = false,
        logger: Logger
    ) {
        self.sessionLoop = sessionLoop
        self.source = tunnels
        self.listeners = listeners
        self.forwards = ForwardStreams(sessionLoop, limits, logger: logger)
        self.serviceTimeout = TimeAmount(limits.serviceTimeout)
        self.names = names
        self.openPolicy = openPolicy
        self.totals = totals
        self.progress = progress
        self.loops = LoopDetector(serverHost: serverHost, sockets: part?.sockets ?? LoopDetector.Sockets())
        self.part = part
        self.exitsOnRefusal = exitsOnRefusal
        self.exitsOnForwardFailure = exitsOnForwardFailure
        self.logger = logger
        health = ServiceHealth(sessionLoop, logger: logger)
        checks = HealthChecks(on: sessionLoop.eventLoop, reportingTo: health)
        flowSilence = limits.flows.silences
    }

    func start(_ onEvent: @escaping (Event) -> Void) {
        self.onEvent = onEvent
        progress.beginsSession()
        sessionLoop.start(self)
        tunnelsChanged()
        listeners.begin(forwards)
    }

    /// Tunnels were added or removed, or are this session's now: requests the ports of new ones.
    func tunnelsChanged() {
        for (index, entry) in source.entries.enumerated() {
            if tunnels.indices.contains(index) {
                if entry.isRemoved, !tunnels[index].isRemoved { remove(index) }
                if !entry.isRemoved, tunnels[index].isRemoved, part?.includes(entry.spec) == true { adopt(index) }
            } else {
                let tunnel = tunnel(index, entry)
                tunnels.append(tunnel)
                progress.tunnel(index, entry.spec.description, isRemoved: tunnel.isRemoved)
                bind(index)
            }
        }
    }

    private func tunnel(_ index: Int, _ entry: TunnelSet.Entry) -> Tunnel {
        let loop = sessionLoop.eventLoop
        let way: Way =
            switch entry.spec.target {
            case .address(let host, let port) where entry.spec.transport == .udp:
                .flows(host: host, port: port)
            case .address(let host, let port):
                .egress(TCPEgress(host: host, port: port, loop: loop, timeout: serviceTimeout, names: names))
            case .unix(let path):
                .egress(UnixEgress(path: path, loop: loop, timeout: serviceTimeout))
            case .socks:
                .socks
            case .inProcess(let service):
                .egress(InProcessEgress(service, loop: loop))
            }
        let statistics = TunnelStatistics(
            tunnel: UInt16(truncatingIfNeeded: index),
            kind: entry.spec.kind,
            role: .client,
            service: entry.spec.service,
            totals: totals
        )
        // A tunnel of one session alone may be another one's.
        let isRemoved = entry.isRemoved || part?.includes(entry.spec) == false
        return Tunnel(spec: entry.spec, way: way, statistics: statistics, isRemoved: isRemoved)
    }

    /// The rules of SOCKS tunnels were replaced: resets the streams that they do not allow any more.
    func openRulesChanged() {
        socksDestinations.update(openPolicy(), sessionLoop, logger)
    }

    /// Takes a tunnel that another session of the client has had alone.
    private func adopt(_ index: Int) {
        tunnels[index].isRemoved = false
        progress.tunnel(index, tunnels[index].spec.description, isRemoved: false)
        bind(index)
    }

    private func remove(_ index: Int) {
        tunnels[index].isRemoved = true
        checks.stop(UInt16(truncatingIfNeeded: index))
        refusedTunnels.remove(index)
        retries.removeValue(forKey: index)?.cancel()
        tunnels[index].statistics.withdrawn()
        part?.withdrew(index)
        progress.tunnel(index, tunnels[index].spec.description, isRemoved: true)
        logger.notice("tunnel removed", metadata: ["tunnel": "\(tunnels[index].spec)"])
        sessionLoop.run(.unbind(UInt16(truncatingIfNeeded: index)))
    }

    /// Accepts no further visitor, and ends the session once the last one has left.
    func drain() {
        isStopping = true
        guard !isDraining else { return }
        isDraining = true
        listeners.stop()
        sessionLoop.run(.drain(Refusal(.goingAway, "the client is stopping")))
        sessionRoomChanged(sessionLoop)
    }

    /// Ends the session now.
    func end() {
        sessionLoop.run(.end(Refusal(.goingAway, "the client is stopping")))
    }

    /// The statistics of each tunnel, by number.
    var statistics: [TunnelStatistics] { tunnels.map(\.statistics) }

    /// Requests the refused ports again, and begins anew with short waits.
    func askForPorts() {
        bindRetries = [:]
        cancelRetries()
        // The session ignores a tunnel that is public or already requested.
        for index in tunnels.indices { bind(index) }
    }

    private func bind(_ index: Int) {
        guard !sessionLoop.isEnded, !isDraining, !isServerGoingAway, !tunnels[index].isRemoved else { return }
        let spec = tunnels[index].spec
        var request = BindRequest(
            tunnel: UInt16(truncatingIfNeeded: index),
            address: spec.bind,
            port: spec.port,
            kind: spec.kind,
            visitors: spec.visitors
        )
        (request.name, request.group, request.hasHealthCheck) = (
            spec.name, part?.group(of: spec) ?? spec.group, spec.health != nil
        )
        sessionLoop.run(.bind(request))
    }

    // MARK: Ports

    func session(_ sessionLoop: SessionLoop, bound binding: Binding) {
        let index = Int(binding.tunnel)
        guard let tunnel = tunnel(binding.tunnel), !isServerGoingAway else { return }
        bindRetries[index] = nil
        failures[index] = nil
        tunnels[index].publicName = tunnel.spec.name == nil ? nil : binding.publicName
        tunnel.statistics.published(
            address: binding.urls.isEmpty ? binding.address : binding.urls,
            port: binding.port
        )
        progress.published(index)
        health.published(tunnel.statistics)
        checks.start(tunnel)
        loops.bound(binding, to: tunnel.spec)
        refusedTunnels.remove(index)
        if part?.published(index) ?? true { onEvent?(.bound(tunnel.spec, binding)) }
    }

    /// A tunnel that was not removed.
    func tunnel(_ number: UInt16) -> Tunnel? {
        guard tunnels.indices.contains(Int(number)) else { return nil }
        let tunnel = tunnels[Int(number)]
        return tunnel.isRemoved ? nil : tunnel
    }

    func session(_ sessionLoop: SessionLoop, unbound number: UInt16, _ refusal: Refusal) {
        guard let tunnel = tunnel(number) else { return }
        let (index, spec) = (Int(number), tunnel.spec)
        checks.stop(number)
        tunnel.statistics.withdrawn()
        // The next session has the tunnels, and reports them.
        guard !isServerGoingAway else { return }
        part?.withdrew(index)
        progress.refused(index, refusal.description)
        let isRefusal = refusal.code == .portNotAllowed || refusal.code == .limit
        if isRefusal { refusedTunnels.insert(index) } else { refusedTunnels.remove(index) }
        if isRefusal && endsClient() || endsClient(for: index, refusal) {
            refused = "-R \(spec): the server refused: \(refusal)"
            return end()
        }
        let (first, longest) = isRefusal ? Self.refusalRetries : Self.bindRetries
        let wait = min(max(bindRetries[index] ?? first, first), longest)
        bindRetries[index] = min(wait * 2, longest)
        if let line = failures[index, default: RepeatedFailure()].line(refusal.description) {
            var metadata: Logger.Metadata = ["tunnel": "\(spec)", "reason": "\(refusal)", "in": .time(Duration(wait))]
            if line.times > 1 { metadata["times"] = .number(line.times) }
            logger.warning(
                isRefusal
                    ? "the server refused a tunnel; the others continue, and it is requested again"
                    : "the server could not bind a port; trying again",
                metadata: metadata
            )
        }
        retries[index]?.cancel()
        retries[index] = sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: wait) {
            self.retries[index] = nil
            self.bind(index)
        }
    }

    /// Whether a tunnel that was never public ends the client, as one of its forwards does.
    private func endsClient(for index: Int, _ refusal: Refusal) -> Bool {
        exitsOnForwardFailure && refusal.code != .goingAway && !progress.now.tunnels[index].wasPublic
    }

    /// Whether a refused tunnel ends the client: all tunnels are outside its rights, and none was public in this run.
    private func endsClient() -> Bool {
        let wanted = tunnels.count { !$0.isRemoved }
        return exitsOnRefusal || (refusedTunnels.count >= wanted && !progress.now.hasPublished)
    }

    func sessionRoomChanged(_ sessionLoop: SessionLoop) {
        forwards.roomChanged()
        listeners.roomChanged()
        guard isDraining, sessionLoop.isDelivered, !sessionLoop.isEnded else { return }
        isDelivered = true
        end()
    }

    // MARK: The session

    func sessionNumbersRunOut(_ sessionLoop: SessionLoop) {
        sessionLoop.run(.drain(Refusal(.goingAway, "this session has used up its stream numbers; another one begins")))
        isDraining = true
    }

    func session(_ sessionLoop: SessionLoop, goingAway reason: Refusal) {
        logger.notice("server is going away", metadata: ["reason": "\(reason)"])
        isServerGoingAway = true
        cancelRetries()
        listeners.pause(forwards)
        part?.withdrewAll()
        // Another reason is the client's own, and another server has it too. The answer to the client's own end is no news.
        if reason.code == .goingAway, !isStopping { onEvent?(.goingAway(reason)) }
    }

    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier) {
        listeners.pause(forwards)
        onEvent?(.lost(carrier))
    }

    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier, of lane: LaneID) {
        onEvent?(.lostLane(lane, carrier))
    }

    func session(_ sessionLoop: SessionLoop, left lane: LaneID) {
        onEvent?(.leftLane(lane))
    }

    /// The session continues on another carrier.
    func resumed() {
        if !isServerGoingAway, !sessionLoop.isEnded { listeners.begin(forwards) }
    }

    func session(_ sessionLoop: SessionLoop, renewWithin seconds: UInt32) {
        onEvent?(.renewal(within: seconds))
    }

    private func cancelRetries() {
        for retry in retries.values { retry.cancel() }
        retries = [:]
    }

    func session(_ sessionLoop: SessionLoop, ended end: SessionEnd) {
        health.stop()
        checks.stopAll()
        cancelRetries()
        forwards.stop()
        listeners.pause(forwards)
        // The next session of the same number may have them already.
        if !isServerGoingAway { part?.withdrewAll() }
        // A server ends a session that drains once it has got the ends of all streams.
        if isDraining, case .peer(let reason) = end, reason.code == .goingAway { isDelivered = true }
        onEvent?(.ended(end, refused: refused))
        onEvent = nil
    }
}
