import Logging
import Mux
import NIOCore
import NetworkAddress
import ProxyConnect
import TunnelCore

/// The local ports of a client's forwards, on the event loop of its sessions. They stay bound from one session to the next.
///
/// Without a session and its carrier, connections wait in the kernel's listen queue. So they can be served by the next
/// session, if the server does not know the present one any more. After ``ClientLimits/waitingTime`` they are accepted and
/// reset until there is a session again, so that no program waits for ever.
final class ForwardListeners {
    /// An event for scripts and the log.
    enum Event: Sendable {
        /// A forward listens at this port.
        case listening(ForwardSpec, port: UInt16)
        /// A forward's port cannot be bound.
        case failed(ForwardSpec, reason: String)
    }

    /// One forward.
    final class Forward {
        let spec: ForwardSpec
        let statistics: TunnelStatistics
        fileprivate(set) var ingress: (any Ingress)?
        fileprivate(set) var flows: UDPIngress?
        /// The port that is bound; nil before.
        fileprivate(set) var port: UInt16?
        /// Whether the port is being bound.
        fileprivate var isBinding = false
        fileprivate var retry: Scheduled<Void>?
        fileprivate var wait = ForwardListeners.retries.first
        /// The failure that stays the same.
        fileprivate var failure = RepeatedFailure()

        fileprivate init(_ spec: ForwardSpec, _ statistics: TunnelStatistics) {
            self.spec = spec
            self.statistics = statistics
        }
    }

    /// Whether a session takes connections.
    private enum Supply {
        /// Connections wait in the listen queue.
        case waiting(Scheduled<Void>)
        /// There has been no session for too long: connections are reset.
        case refusing
        case session(ForwardStreams)
        case stopped
    }

    /// The first and the longest wait before a port that could not be bound is tried again.
    static let retries = (first: TimeAmount.seconds(1), longest: TimeAmount.seconds(30))

    private let loop: any EventLoop
    private let source: ForwardSet
    private let limits: ClientLimits
    private let totals: TrafficTotals
    private let logger: Logger
    /// Whether the client ends if a port cannot be bound.
    private let exitsOnFailure: Bool
    private let onEvent: (Event) -> Void
    /// Called when a session begins, and when it has another carrier.
    var onSession: ((ForwardStreams) -> Void)?
    private var supply = Supply.refusing
    /// Further sessions that could take connections, if the client has several.
    private var spares: [ForwardStreams] = []
    private(set) var forwards: [Forward] = []

    /// To be made on `loop`.
    init(
        _ source: ForwardSet,
        loop: any EventLoop,
        limits: ClientLimits,
        totals: TrafficTotals,
        exitsOnFailure: Bool = false,
        logger: Logger,
        onEvent: @escaping (Event) -> Void
    ) {
        self.source = source
        self.loop = loop
        self.limits = limits
        self.totals = totals
        self.exitsOnFailure = exitsOnFailure
        self.logger = logger
        self.onEvent = onEvent
    }

    // MARK: Forwards

    /// Listens for the forwards; and closes all ports, once ``stop()`` is called.
    func start() {
        awaitSession()
        forwardsChanged()
    }

    /// Forwards were added or removed.
    func forwardsChanged() {
        if case .stopped = supply { return }
        var wanted = source.all
        for forward in forwards {
            if let index = wanted.firstIndex(of: forward.spec) { wanted.remove(at: index) } else { close(forward) }
        }
        for spec in wanted {
            let statistics = TunnelStatistics(tunnel: 0, role: .server, service: spec.service, totals: totals)
            let forward = Forward(spec, statistics)
            forwards.append(forward)
            bind(forward)
        }
    }

    private func close(_ forward: Forward) {
        forwards.removeAll { $0 === forward }
        forward.retry?.cancel()
        guard forward.ingress != nil || forward.flows != nil else { return }
        forward.ingress?.close(on: loop).whenComplete { _ in }
        forward.flows?.close().whenComplete { _ in }
        logger.notice("forward removed", metadata: ["forward": "\(forward.spec)"])
    }

    private func bind(_ forward: Forward) {
        forward.isBinding = true
        let visitor: (any Channel) throws -> Void = { [weak self] channel in
            guard let self else { return channel.close(promise: nil) }
            try self.accept(channel, forward)
        }
        switch forward.spec.listen {
        case .port(let port, _) where forward.spec.transport == .udp:
            bindFlows(forward, port)
        case .path(let path):
            UnixIngress.bind(tunnel: 0, path: path, limits: limits.ingress, loop: loop, onVisitor: visitor)
                .assumeIsolated()
                .whenComplete { self.bound(forward, $0.map { ($0, 0) }) }
        case .port(let port, _):
            // Port 0 would be another port on the second address.
            let addresses = port == 0 ? Array(forward.spec.addresses.prefix(1)) : forward.spec.addresses
            TCPIngress.bind(
                tunnel: 0,
                addresses: addresses,
                port: port,
                limits: limits.ingress,
                loop: loop,
                logger: logger,
                onVisitor: visitor
            )
            .assumeIsolated()
            .whenComplete { self.bound(forward, $0.map { ($0, $0.boundPort) }) }
        }
    }

    private func bound(_ forward: Forward, _ result: Result<(any Ingress, UInt16), any Error>) {
        forward.isBinding = false
        switch result {
        case .success(let (ingress, port)): bound(forward, ingress, port)
        case .failure(let error): failed(forward, error)
        }
    }

    private func bound(_ forward: Forward, _ ingress: any Ingress, _ port: UInt16) {
        guard forwards.contains(where: { $0 === forward }) else {
            return ingress.close(on: loop).whenComplete { _ in }
        }
        forward.ingress = ingress
        forward.wait = Self.retries.first
        forward.failure.worked()
        ingress.isAccepting = isAccepting
        listens(forward, ingress.addresses, port)
    }

    private func listens(_ forward: Forward, _ addresses: String, _ port: UInt16) {
        forward.port = port
        forward.statistics.published(address: addresses, port: port)
        logger.notice(
            "forward listens",
            metadata: ["address": "\(forward.spec.listening(port))", "to": "\(forward.spec.service)"]
        )
        onEvent(.listening(forward.spec, port: port))
    }

    private func bindFlows(_ forward: Forward, _ port: UInt16) {
        UDPIngress.bind(
            addresses: port == 0 ? Array(forward.spec.addresses.prefix(1)) : forward.spec.addresses,
            port: port,
            limits: limits.flows,
            dropped: totals.metrics.droppedDatagrams,
            loop: loop,
            opener: UDPIngress.Opener { [weak self] remote in self?.flow(of: forward, from: remote) ?? .refused }
        )
        .assumeIsolated()
        .whenComplete { result in
            forward.isBinding = false
            switch result {
            case .failure(let error): self.failed(forward, error)
            case .success(let flows):
                guard self.forwards.contains(where: { $0 === forward }) else {
                    return flows.close().whenComplete { _ in }
                }
                forward.flows = flows
                forward.wait = Self.retries.first
                forward.failure.worked()
                self.listens(forward, flows.addresses, flows.port)
            }
        }
    }

    /// What a new sender's flow belongs to.
    private func flow(of forward: Forward, from remote: SocketAddress) -> IngressFlow.Admission {
        guard case .destination(let destination) = forward.spec.target else { return .refused }
        return flow(of: forward, to: destination, from: remote)
    }

    private func flow(
        of forward: Forward,
        to destination: Destination,
        from remote: SocketAddress
    ) -> IngressFlow.Admission {
        guard case .session(let streams) = supply,
            let opening = streams.flow(to: destination, from: remote.inShort, forward.statistics)
        else { return .refused }
        return .flow(opening)
    }

    /// The relays of datagrams of a SOCKS port.
    private func association(of forward: Forward) -> SocksAssociation {
        SocksAssociation(
            limits: limits.flows,
            dropped: totals.metrics.droppedDatagrams,
            loop: loop
        ) { [weak self] destination, remote in
            self?.flow(of: forward, to: destination, from: remote) ?? .refused
        }
    }

    private func failed(_ forward: Forward, _ error: any Error) {
        guard forwards.contains(where: { $0 === forward }) else { return }
        let isUnix = if case .path = forward.spec.listen { true } else { false }
        let reason =
            (error as? UnixListener.Failure)?.description
            ?? ListenAddress.bindFailureReason((error as? TCPIngress.Failure)?.error ?? error, isUnix: isUnix)
        let wait = forward.wait
        forward.wait = min(wait * 2, Self.retries.longest)
        onEvent(.failed(forward.spec, reason: reason))
        guard !exitsOnFailure else { return }
        if let line = forward.failure.line(reason) {
            var metadata: Logger.Metadata = [
                "forward": "\(forward.spec)", "reason": "\(reason)", "in": .time(Duration(wait)),
            ]
            if line.times > 1 { metadata["times"] = .number(line.times) }
            logger.warning("a forward's port cannot be bound; trying again", metadata: metadata)
        }
        forward.retry = loop.assumeIsolated().scheduleTask(in: wait) { self.bind(forward) }
    }

    // MARK: Sessions

    /// A session begins, or has another carrier, and takes the connections from now on. If another session takes them
    /// already, this one takes over at that one's end.
    func begin(_ streams: ForwardStreams) {
        if case .stopped = supply { return }
        if case .session(let present) = supply, present !== streams, !present.sessionLoop.isEnded {
            if !spares.contains(where: { $0 === streams }) { spares.append(streams) }
            return
        }
        spares.removeAll { $0 === streams }
        endWait()
        supply = .session(streams)
        streams.onRoomChange = { [weak self] in self?.setAccepting() }
        setAccepting()
        onSession?(streams)
    }

    /// The session takes no connection: it has no carrier, its server is going away, or it is over.
    func pause(_ streams: ForwardStreams) {
        spares.removeAll { $0 === streams }
        guard case .session(let present) = supply, present === streams else { return }
        awaitSession()
        if let spare = spares.first { begin(spare) }
    }

    /// The session has room again, or none.
    func roomChanged() {
        setAccepting()
    }

    /// Closes all ports.
    func stop() {
        endWait()
        supply = .stopped
        spares = []
        for forward in forwards { close(forward) }
    }

    private func awaitSession() {
        endWait()
        let timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(limits.waitingTime)) {
            self.supply = .refusing
            self.setAccepting()
        }
        supply = .waiting(timer)
        setAccepting()
    }

    private func endWait() {
        if case .waiting(let timer) = supply { timer.cancel() }
    }

    private var isAccepting: Bool {
        switch supply {
        case .waiting, .stopped: false
        case .refusing: true
        case .session(let streams): streams.hasRoom
        }
    }

    private func setAccepting() {
        for case let ingress? in forwards.map(\.ingress) where ingress.isAccepting != isAccepting {
            ingress.isAccepting = isAccepting
        }
    }

    // MARK: Connections

    private func accept(_ channel: any Channel, _ forward: Forward) throws {
        try SocketOptions.visitor(channel)
        guard case .session(let streams) = supply else {
            SocketOptions.resetOnClose(channel)
            return channel.close(promise: nil)
        }
        streams.accepted(channel)
        let program = channel.peerDescription
        switch forward.spec.target {
        case .destination(let destination):
            try streams.open(channel, to: destination, from: program, forward.statistics)
        case .socks:
            let handler = SocksHandler { channel, target, answer in
                try streams.open(channel, to: .host(target), from: program, forward.statistics, answer: answer)
            } onAssociation: { [association = association(of: forward)] channel in
                // It carries no stream, and lives as long as its relay.
                streams.served(ObjectIdentifier(channel))
                return association.bind(for: channel)
            } onFailure: { [logger] failure in
                logger.info("no SOCKS request", metadata: ["from": "\(program)", "reason": "\(failure)"])
            }
            try channel.pipeline.syncOperations.addHandler(handler)
        }
    }
}
