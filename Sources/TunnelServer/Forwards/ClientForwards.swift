import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// The streams that a client opens to destinations, from OPEN to the connected socket.
///
/// ```
///  OPEN ──▶ pace ──▶ rules ──▶ look the name up ──▶ rules for each address ──▶ connect ──▶ ACCEPT
///             │        │              │                       │                   │
///             ▼        ▼              ▼                       ▼                   ▼
///           busy   notAllowed    unreachable              notAllowed     refused, timeout, unreachable
/// ```
///
/// A connection goes to exactly the addresses that were judged. When the client's rights narrow, the streams that they do
/// not allow any more are reset.
final class ClientForwards {
    /// A stream whose destination is being connected to, or is connected.
    private struct Forward {
        let destination: Destination
        let end: DestinationEnd
        /// Where the socket leads; nil before it is connected.
        var address: IPAddress?
    }

    /// A name that waits for its lookup.
    private struct Waiting {
        let stream: StreamID
        let lookup: DestinationPolicy.Lookup
    }

    /// Names of one session that are looked up at a time: as many as its client has threads.
    static let lookups = NameLimits().threadsPerClient

    private let sessionLoop: SessionLoop
    private let quota: ClientQuota
    private let bandwidth: ClientBandwidth
    private let network: any DestinationNetwork
    private let clock: ServerClock
    private let logger: Logger
    private var rules: SessionRules
    private var forwards: [StreamID: Forward] = [:]
    private var waiting = CircularBuffer<Waiting>()
    private var runningLookups = 0
    private var rotation = FlowRotation()
    /// The sockets of all destinations.
    let statistics: TunnelStatistics

    init(
        _ sessionLoop: SessionLoop,
        rules: SessionRules,
        quota: ClientQuota,
        bandwidth: ClientBandwidth,
        network: any DestinationNetwork,
        clock: ServerClock,
        logger: Logger
    ) {
        self.sessionLoop = sessionLoop
        self.rules = rules
        self.quota = quota
        self.bandwidth = bandwidth
        self.network = network
        self.clock = clock
        self.logger = logger
        statistics = TunnelStatistics(tunnel: 0, role: .client, totals: quota.resources.totals)
    }

    /// Streams whose destination is connected or being connected to.
    var count: Int { forwards.count }

    // MARK: From OPEN to the rules

    /// Takes a stream that the client has opened.
    func open(_ stream: StreamID, _ request: OpenRequest) {
        guard case .destination(let text) = request.target, let destination = Destination(text) else {
            return refuse(stream, request, .notAllowed, "it is not a destination")
        }
        if let shortage = shortage(for: request.kind) { return refuse(stream, request, .busy, shortage) }
        let policy = policy(for: destination)
        switch policy.decide(destination, request.kind == .udp ? .udp : .tcp) {
        case .denied:
            refuse(stream, request, .notAllowed, "allow_connect does not list it")
        case .path(let path) where policy.own.isReached(by: path):
            refuse(stream, request, .notAllowed, "it leads to a socket of the server itself")
        case .path(let path):
            add(stream, request, destination)
            guard case .pipe(let pipe)? = forwards[stream]?.end else { return }
            connect(stream, pipe, network.egress(to: path, timeout: timeout, onSocket: quota.count))
        case .addresses(let addresses):
            add(stream, request, destination)
            connect(stream, addresses)
        case .lookUp(let lookup):
            add(stream, request, destination)
            waiting.append(Waiting(stream: stream, lookup: lookup))
            startLookups()
        }
    }

    /// The client's rules, with the places of this process that the destination may meet.
    private func policy(for destination: Destination) -> DestinationPolicy {
        var policy = rules.destinations
        let port: UInt16? = if case .host(let target) = destination { target.port } else { nil }
        policy.own = quota.resources.ports.ownPlaces(at: port)
        return policy
    }

    /// The reason for which no further stream is taken now; nil if one is. Flows have a rate of their own, since a
    /// resolver uses one for each request.
    private func shortage(for kind: StreamKind) -> String? {
        let (limits, now) = (rules.limits, clock.now())
        switch kind {
        case .tcp, .probe:
            guard quota.share.takeForward(perSecond: limits.forwardsPerSecond, now: now) else {
                return "the client opens more than \(limits.forwardsPerSecond) streams a second"
            }
        case .udp:
            guard quota.share.takeFlow(perSecond: limits.flows.perSecond, now: now) else {
                return "the client opens more than \(limits.flows.perSecond) flows a second"
            }
        }
        return quota.shortage(rules.limits, isCounted: false)?.rawValue
    }

    private func add(_ stream: StreamID, _ request: OpenRequest, _ destination: Destination) {
        let identity = StreamIdentity(
            visitor: request.visitor,
            destination: destination.description,
            kind: request.kind,
            statistics: statistics
        )
        if request.kind == .udp {
            addFlow(stream, destination, identity)
        } else {
            addPipe(stream, destination, identity)
        }
    }

    /// The client's bandwidth, which all its streams share.
    private var policy: StreamPolicy { StreamPolicy(rateLimits: bandwidth.limit.map { [$0] } ?? []) }

    private func addPipe(_ stream: StreamID, _ destination: Destination, _ identity: StreamIdentity) {
        let pipe = StreamPipe(
            session: sessionLoop,
            stream: stream,
            policy: policy,
            identity: identity,
            logger: logger
        ) { [sessionLoop] pipe in
            pipe.open(stream)
            sessionLoop.run(.accept(stream))
        }
        // A stream may end while its name is looked up.
        pipe.connecting { [weak self] in self?.forget(stream) }
        sessionLoop.attach(pipe, to: stream)
        forwards[stream] = Forward(destination: destination, end: .pipe(pipe))
    }

    private func addFlow(_ stream: StreamID, _ destination: Destination, _ identity: StreamIdentity) {
        let limits = rules.limits
        let flow = EgressFlow(
            sessionLoop,
            stream,
            identity: identity,
            silence: limits.flows.silences,
            policy: policy,
            logger: logger
        ) { [weak self] in
            self?.forget(stream)
        }
        sessionLoop.attach(flow, to: stream)
        forwards[stream] = Forward(destination: destination, end: .flow(flow))
    }

    private func forget(_ stream: StreamID) {
        forwards[stream] = nil
        waiting.removeAll { $0.stream == stream }
    }

    private func refuse(_ stream: StreamID, _ request: OpenRequest, _ code: ResetCode, _ reason: String) {
        var metadata: Logger.Metadata = ["reason": "\(reason)", "from": "\(request.visitor)"]
        if case .destination(let text) = request.target { metadata["destination"] = "\(text)" }
        quota.resources.logs.refusedForwards.log("destination refused", at: .warning, to: logger, metadata)
        quota.resources.metrics.refused(DestinationRefusal(code))
        sessionLoop.run(.reset(stream, code))
    }

    // MARK: Names

    private func startLookups() {
        while runningLookups < Self.lookups, let next = waiting.popFirst() {
            guard isPending(next.stream) else {
                forwards[next.stream] = nil
                continue
            }
            runningLookups += 1
            network.addresses(of: next.lookup.name).assumeIsolated().whenComplete { result in
                self.runningLookups -= 1
                self.lookedUp(next, result)
                self.startLookups()
            }
        }
    }

    private func lookedUp(_ next: Waiting, _ result: Result<[SocketAddress], any Error>) {
        guard isPending(next.stream), let forward = forwards[next.stream] else {
            forwards[next.stream] = nil
            return
        }
        switch result {
        case .failure(let error):
            fail(
                next.stream,
                (error as? NameFailure) == .busy ? .busy : .unreachable,
                (error as? NameFailure)?.description ?? EgressFailure.reason(error)
            )
        case .success(let found):
            // Others may have begun connections since the stream was opened.
            if let shortage = quota.shortage(rules.limits, isCounted: false) {
                return fail(next.stream, .busy, shortage.rawValue)
            }
            // The rules may have changed meanwhile.
            let policy = policy(for: forward.destination)
            var addresses: [IPAddress] = []
            if case .lookUp(let lookup) = policy.decide(forward.destination, forward.end.transport) {
                addresses = policy.permitted(found.compactMap(\.ip), of: lookup)
            }
            guard !addresses.isEmpty else {
                return fail(
                    next.stream,
                    .notAllowed,
                    "allow_connect lists none of the addresses to which the name leads"
                )
            }
            connect(next.stream, addresses)
        }
    }

    private func isPending(_ stream: StreamID) -> Bool { forwards[stream]?.end.isPending ?? false }

    // MARK: Connections

    private func connect(_ stream: StreamID, _ addresses: [IPAddress]) {
        guard let forward = forwards[stream], case .host(let target) = forward.destination else { return }
        switch forward.end {
        case .pipe(let pipe):
            let egress = network.egress(to: addresses, port: target.port, timeout: timeout, onSocket: quota.count)
            connect(stream, pipe, egress)
        case .flow(let flow):
            let key = "\(forward.destination)"
            flow.onFailure = { [weak self] _ in self?.rotation.refused(key) }
            let ordered = rotation.order(addresses, of: key)
            flow.connect(to: ordered, port: target.port).assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    self.forwards[stream]?.address = channel.remoteAddress?.ip
                    self.quota.count(channel)
                case .failure(let error): self.fail(stream, EgressFailure.code(error), EgressFailure.reason(error))
                }
            }
        }
    }

    private var timeout: TimeAmount { TimeAmount(rules.limits.forwardTimeout) }

    private func connect(_ stream: StreamID, _ pipe: StreamPipe, _ egress: any Egress) {
        egress.connect(for: pipe).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.join(stream, pipe, channel)
            case .failure(let error):
                guard self.isPending(stream) else { return self.forwards[stream] = nil }
                self.fail(stream, EgressFailure.code(error), EgressFailure.reason(error))
            }
        }
    }

    private func join(_ stream: StreamID, _ pipe: StreamPipe, _ channel: any Channel) {
        guard forwards[stream] != nil, pipe.isPending else {
            forwards[stream] = nil
            SocketOptions.resetOnClose(channel)
            return channel.close(promise: nil)
        }
        forwards[stream]?.address = channel.remoteAddress?.ip
        if let forward = forwards[stream], !isAllowed(forward) {
            SocketOptions.resetOnClose(channel)
            channel.close(promise: nil)
            return fail(stream, .notAllowed, "allow_connect does not list it any more")
        }
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.forwards[stream] = nil }
        do {
            try channel.pipeline.syncOperations.addHandler(pipe)
            // The destination may have closed before the handler was added.
            if !channel.isActive { fail(stream, .connectionReset, "it closed the connection at once") }
        } catch {
            fail(stream, .unreachable, EgressFailure.reason(error))
            channel.close(promise: nil)
        }
    }

    private func fail(_ stream: StreamID, _ code: ResetCode, _ reason: String) {
        guard let forward = forwards.removeValue(forKey: stream) else { return }
        quota.resources.metrics.refused(DestinationRefusal(code))
        quota.resources.logs.refusedForwards.log(
            "destination cannot be reached",
            at: .info,
            to: logger,
            [
                "destination": "\(forward.destination)", "reason": "\(reason)",
                "from": "\(forward.end.visitor)",
            ]
        )
        forward.end.fail(code)
    }

    // MARK: Changes of the client's rights

    /// Applies other rules, and resets the streams that they do not allow.
    func update(_ rules: SessionRules) {
        let before = self.rules.destinations
        self.rules = rules
        guard before != rules.destinations else { return }
        for (stream, forward) in forwards where !isAllowed(forward) {
            logger.notice(
                "stream reset: the client's rights have changed",
                metadata: ["destination": "\(forward.destination)", "stream": .number(stream.rawValue)]
            )
            forwards[stream] = nil
            sessionLoop.run(.reset(stream, .notAllowed))
            forward.end.abort(.notAllowed)
        }
    }

    private func isAllowed(_ forward: Forward) -> Bool {
        policy(for: forward.destination).allows(forward.destination, forward.end.transport, at: forward.address)
    }
}
