import Logging
import Mux
import NIOCore
import TunnelCore

/// A session at the client: asks for the public ports, and connects each visitor's stream to its service.
final class ClientSession: ClientSessionOwner {
    /// An event of the session, for its owner.
    enum Event {
        /// A tunnel is public.
        case bound(TunnelSpec, Binding)
        /// The carrier is lost, and the session waits for another one.
        case lost(LostCarrier)
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
    let tunnels: [TunnelSpec]
    private let egress: TCPEgress
    private let logger: Logger
    private var onEvent: ((Event) -> Void)?
    private(set) var isDraining = false
    /// The visitors and the transferred bytes of each tunnel.
    let statistics: [TunnelStatistics]
    /// Services that could not be reached the last time, so that the log reports changes and not each visitor.
    private var unreachable: Set<Int> = []
    private var bindRetries: [Int: TimeAmount] = [:]
    private var refused: String?
    /// Tunnels outside the client's rights.
    private var refusedTunnels: Set<Int> = []
    private let loops: LoopDetector
    let progress: ClientProgress
    private let exitsOnRefusal: Bool

    init(
        sessionLoop: SessionLoop,
        tunnels: [TunnelSpec],
        limits: ClientLimits,
        totals: TrafficTotals,
        progress: ClientProgress,
        serverHost: String = "",
        names: HostNames = .shared,
        exitsOnRefusal: Bool = false,
        logger: Logger
    ) {
        self.sessionLoop = sessionLoop
        self.tunnels = tunnels
        self.statistics = tunnels.enumerated().map { index, spec in
            TunnelStatistics(
                tunnel: UInt16(truncatingIfNeeded: index),
                role: .client,
                service: spec.service,
                totals: totals
            )
        }
        self.egress = TCPEgress(
            loop: sessionLoop.eventLoop,
            timeout: TimeAmount(limits.serviceTimeout),
            names: names
        )
        self.progress = progress
        self.loops = LoopDetector(serverHost: serverHost)
        self.exitsOnRefusal = exitsOnRefusal
        self.logger = logger
    }

    func start(_ onEvent: @escaping (Event) -> Void) {
        self.onEvent = onEvent
        progress.beginsSession()
        sessionLoop.start(self)
        for index in tunnels.indices { bind(index) }
    }

    /// Accepts no further visitor, and ends the session once the last one has left.
    func drain() {
        guard !isDraining else { return }
        isDraining = true
        sessionLoop.run(.drain(Refusal(.goingAway, "the client is stopping")))
        sessionRoomChanged(sessionLoop)
    }

    /// Ends the session now.
    func end() {
        sessionLoop.run(.end(Refusal(.goingAway, "the client is stopping")))
    }

    /// Requests the refused ports again, and begins anew with short waits.
    func askForPorts() {
        bindRetries = [:]
        // The session ignores a tunnel that is public or already requested.
        for index in tunnels.indices { bind(index) }
    }

    private func bind(_ index: Int) {
        guard !sessionLoop.isEnded, !isDraining else { return }
        let spec = tunnels[index]
        sessionLoop.run(
            .bind(
                BindRequest(
                    tunnel: UInt16(truncatingIfNeeded: index),
                    address: spec.bind,
                    port: spec.port,
                    visitors: spec.visitors
                )
            )
        )
    }

    // MARK: Ports

    func session(_ sessionLoop: SessionLoop, bound binding: Binding) {
        let index = Int(binding.tunnel)
        guard tunnels.indices.contains(index) else { return }
        bindRetries[index] = nil
        statistics[index].published(address: binding.address, port: binding.port)
        progress.published(index)
        loops.bound(binding, to: tunnels[index])
        refusedTunnels.remove(index)
        onEvent?(.bound(tunnels[index], binding))
    }

    func session(_ sessionLoop: SessionLoop, unbound tunnel: UInt16, _ refusal: Refusal) {
        let index = Int(tunnel)
        guard tunnels.indices.contains(index) else { return }
        let spec = tunnels[index]
        statistics[index].withdrawn()
        progress.refused(index, refusal.description)
        let isRefusal = refusal.code == .portNotAllowed || refusal.code == .limit
        if isRefusal {
            refusedTunnels.insert(index)
            guard !endsClient() else {
                refused = "-R \(spec): the server refused: \(refusal)"
                return end()
            }
        }
        let (first, longest) = isRefusal ? Self.refusalRetries : Self.bindRetries
        let wait = min(max(bindRetries[index] ?? first, first), longest)
        bindRetries[index] = min(wait * 2, longest)
        logger.warning(
            isRefusal
                ? "the server refused a tunnel; the others continue, and it is requested again"
                : "the server could not bind a port; trying again",
            metadata: ["tunnel": "\(spec)", "reason": "\(refusal)", "in_s": "\(wait.nanoseconds / 1_000_000_000)"]
        )
        sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.bind(index) }
    }

    /// Whether a refused tunnel ends the client: all tunnels are outside its rights, and none was public in this run.
    private func endsClient() -> Bool {
        exitsOnRefusal || (refusedTunnels.count == tunnels.count && !progress.now.hasPublished)
    }

    // MARK: Visitors

    func session(_ sessionLoop: SessionLoop, open stream: StreamID, _ visit: OpenRequest) {
        let index = Int(visit.tunnel)
        guard tunnels.indices.contains(index) else { return sessionLoop.run(.reset(stream, .noSuchTunnel)) }
        let spec = tunnels[index]
        guard !loops.isLoop(visit) else {
            logger.warning(
                "a tunnel leads to a public port of its own; the visitor is refused",
                metadata: ["tunnel": "\(spec)", "visitor": "\(visit.visitor)"]
            )
            return sessionLoop.run(.reset(stream, .refused))
        }
        let identity = StreamIdentity(visitor: visit.visitor, statistics: statistics[index])
        let pipe = StreamPipe(session: sessionLoop, stream: stream, identity: identity, logger: logger) { pipe in
            guard let version = spec.proxyProtocol else {
                pipe.open(stream)
                return sessionLoop.run(.accept(stream))
            }
            // The service's first bytes may arrive while the header is sent, and must follow ACCEPT.
            sessionLoop.run(.accept(stream))
            pipe.open(stream, introducedBy: Self.introduction(of: visit, version))
        }
        sessionLoop.attach(pipe, to: stream)
        egress.connect(spec.host, spec.hostPort, for: pipe).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.join(channel, pipe)
                if self.unreachable.remove(index) != nil {
                    self.logger.notice("service answers again", metadata: ["service": "\(spec.service)"])
                }
            case .failure where !pipe.isPending:
                // The visitor left before the service answered.
                break
            case .failure(let error):
                let code = TCPEgress.code(error)
                if self.unreachable.insert(index).inserted {
                    self.logger.warning(
                        "service cannot be reached",
                        metadata: [
                            "service": "\(spec.service)", "visitor": "\(visit.visitor)",
                            "reason": "\(TCPEgress.reason(error))",
                        ]
                    )
                }
                pipe.fail(code)
            }
        }
    }

    /// The PROXY protocol header that the service receives before the visitor's first byte.
    private static func introduction(of visit: OpenRequest, _ version: ProxyProtocolVersion) -> ByteBuffer {
        let header = ProxyProtocolHeader(
            source: ProxyProtocolEnd(visit.visitor),
            destination: ProxyProtocolEnd(visit.publicAddress)
        )
        return header.encoded(version)
    }

    private func join(_ channel: any Channel, _ pipe: StreamPipe) {
        guard pipe.isPending else {
            SocketOptions.resetOnClose(channel)
            return channel.close(promise: nil)
        }
        loops.joined(channel)
        do {
            try channel.pipeline.syncOperations.addHandler(pipe)
            // A service may have closed before the handler was added.
            if !channel.isActive { pipe.fail(.connectionReset) }
        } catch {
            pipe.fail(.connectionReset)
        }
    }

    func sessionRoomChanged(_ sessionLoop: SessionLoop) {
        if isDraining, sessionLoop.streamCount == 0, !sessionLoop.isEnded { end() }
    }

    // MARK: The session

    func session(_ sessionLoop: SessionLoop, goingAway reason: Refusal) {
        logger.notice("server is going away", metadata: ["reason": "\(reason)"])
    }

    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier) {
        onEvent?(.lost(carrier))
    }

    func session(_ sessionLoop: SessionLoop, renewWithin seconds: UInt32) {
        onEvent?(.renewal(within: seconds))
    }

    func session(_ sessionLoop: SessionLoop, ended end: SessionEnd) {
        onEvent?(.ended(end, refused: refused))
        onEvent = nil
    }
}
