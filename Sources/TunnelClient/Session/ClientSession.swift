import Logging
import Mux
import NIOCore
import TunnelCore

/// A session at the client: asks for the public ports, and joins each visitor's stream to its service.
final class ClientSession: ClientSessionOwner {
    /// What happens that the client's owner has to know.
    enum Event {
        case bound(TunnelSpec, Binding)
        /// The carrier is gone, and the session waits for another one.
        case lost(LostCarrier)
        /// The server wants another carrier within so many seconds.
        case renewal(within: UInt32)
        /// The session is over; `refused` where the server refused a port for good.
        case ended(SessionEnd, refused: String?)
    }

    /// The first and the longest wait before a port that could not be bound is asked for again.
    static let bindRetries = (first: TimeAmount.seconds(1), longest: TimeAmount.seconds(30))
    /// The same for a port outside the client's rights, which an operator has to grant.
    static let refusalRetries = (first: TimeAmount.minutes(1), longest: TimeAmount.minutes(15))

    let sessionLoop: SessionLoop
    let forwards: [TunnelSpec]
    private let connector: TCPEgress
    private let logger: Logger
    private var onEvent: ((Event) -> Void)?
    private(set) var isDraining = false
    /// Who is at each of the tunnels, and what has been carried.
    let statistics: [TunnelStatistics]
    /// Services that did not answer the last time, so that the log tells changes and not each visitor.
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
        forwards: [TunnelSpec],
        limits: ClientLimits,
        totals: TrafficTotals,
        progress: ClientProgress,
        serverHost: String = "",
        names: HostNames = .shared,
        exitsOnRefusal: Bool = false,
        logger: Logger
    ) {
        self.sessionLoop = sessionLoop
        self.forwards = forwards
        self.statistics = forwards.enumerated().map { index, forward in
            TunnelStatistics(
                tunnel: UInt16(truncatingIfNeeded: index),
                role: .client,
                service: forward.service,
                totals: totals
            )
        }
        self.connector = TCPEgress(
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
        for index in forwards.indices { bind(index) }
    }

    /// Accepts no further visitor, and ends the session once the last has gone.
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

    /// Asks again for the ports that were refused, and begins anew with short waits.
    func askForPorts() {
        bindRetries = [:]
        // One that is public, or asked for already, is left alone.
        for index in forwards.indices { bind(index) }
    }

    private func bind(_ index: Int) {
        guard !sessionLoop.isEnded, !isDraining else { return }
        let forward = forwards[index]
        sessionLoop.run(
            .bind(
                BindRequest(
                    tunnel: UInt16(truncatingIfNeeded: index),
                    address: forward.bind,
                    port: forward.port,
                    visitors: forward.visitors
                )
            )
        )
    }

    // MARK: Ports

    func session(_ sessionLoop: SessionLoop, bound binding: Binding) {
        guard forwards.indices.contains(Int(binding.tunnel)) else { return }
        bindRetries[Int(binding.tunnel)] = nil
        statistics[Int(binding.tunnel)].published(address: binding.address, port: binding.port)
        progress.published(Int(binding.tunnel))
        loops.bound(binding, to: forwards[Int(binding.tunnel)])
        refusedTunnels.remove(Int(binding.tunnel))
        onEvent?(.bound(forwards[Int(binding.tunnel)], binding))
    }

    func session(_ sessionLoop: SessionLoop, unbound tunnel: UInt16, _ refusal: Refusal) {
        let index = Int(tunnel)
        guard forwards.indices.contains(index) else { return }
        let forward = forwards[index]
        statistics[index].withdrawn()
        progress.refused(index, refusal.description)
        let isRefusal = refusal.code == .portNotAllowed || refusal.code == .limit
        if isRefusal {
            refusedTunnels.insert(index)
            guard !endsClient() else {
                refused = "-R \(forward): the server refused: \(refusal)"
                return end()
            }
        }
        let (first, longest) = isRefusal ? Self.refusalRetries : Self.bindRetries
        let wait = min(max(bindRetries[index] ?? first, first), longest)
        bindRetries[index] = min(wait * 2, longest)
        logger.warning(
            isRefusal
                ? "the server refused a tunnel; the others go on, and it is asked again"
                : "the server could not bind a port; trying again",
            metadata: ["tunnel": "\(forward)", "reason": "\(refusal)", "in_s": "\(wait.nanoseconds / 1_000_000_000)"]
        )
        sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.bind(index) }
    }

    /// Whether a refused tunnel ends the client: all of them are outside its rights, and no tunnel was public in this run.
    private func endsClient() -> Bool {
        exitsOnRefusal || (refusedTunnels.count == forwards.count && !progress.now.hasPublished)
    }

    // MARK: Visitors

    func session(_ sessionLoop: SessionLoop, open stream: StreamID, _ visit: OpenRequest) {
        let index = Int(visit.tunnel)
        guard forwards.indices.contains(index) else { return sessionLoop.run(.reset(stream, .noSuchTunnel)) }
        let forward = forwards[index]
        guard !loops.isLoop(visit) else {
            logger.warning(
                "a tunnel leads to a public port of its own; the visitor is refused",
                metadata: ["tunnel": "\(forward)", "visitor": "\(visit.visitor)"]
            )
            return sessionLoop.run(.reset(stream, .refused))
        }
        let identity = StreamIdentity(visitor: visit.visitor, statistics: statistics[index])
        let pipe = StreamPipe(session: sessionLoop, stream: stream, identity: identity, logger: logger) { pipe in
            guard let version = forward.proxyProtocol else {
                pipe.open(stream)
                return sessionLoop.run(.accept(stream))
            }
            // The service's first bytes may come while it is told, and follow ACCEPT.
            sessionLoop.run(.accept(stream))
            pipe.open(stream, introducedBy: Self.introduction(of: visit, version))
        }
        sessionLoop.attach(pipe, to: stream)
        connector.connect(forward.host, forward.hostPort, for: pipe).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.join(channel, pipe)
                if self.unreachable.remove(index) != nil {
                    self.logger.notice("service answers again", metadata: ["service": "\(forward.service)"])
                }
            case .failure where !pipe.isPending:
                // The visitor went first.
                break
            case .failure(let error):
                let code = TCPEgress.code(error)
                if self.unreachable.insert(index).inserted {
                    self.logger.warning(
                        "service cannot be reached",
                        metadata: [
                            "service": "\(forward.service)", "visitor": "\(visit.visitor)",
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
            // A service that closed at once has done so before anybody listened.
            if !channel.isActive { pipe.fail(.connectionReset) }
        } catch {
            pipe.fail(.connectionReset)
        }
    }

    func sessionRoomChanged(_ sessionLoop: SessionLoop) {
        if isDraining, sessionLoop.streamCount == 0, !sessionLoop.isEnded { end() }
    }

    // MARK: The rest

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
