import Logging
import Mux
import NIOCore
import Synchronization
import TunnelCore

/// The probes of one session: streams of the client that end at the server itself, to measure the path.
///
/// A probe claims no port. Its bytes count against the client's bandwidth, and it needs the same room in memory and
/// descriptors as a visitor.
final class ProbeStreams {
    /// Probes of a session at a time.
    static let maximumStreams = 8
    /// Sinks and sources of all sessions at a time: each takes what the path gives.
    static let maximumBulk = 8
    /// Sinks and sources of a session at a time.
    static let maximumBulkOfSession = 2
    /// The time after which a sink or a source ends, whatever the client does.
    static let bulkTime = TimeAmount.seconds(10)
    /// The time that a source sends.
    static let sourceTime = TimeAmount.seconds(5)
    /// Bytes that a source sends.
    static let maximumBytes = 268_435_456

    private let sessionLoop: SessionLoop
    private let quota: ClientQuota
    private let bandwidth: ClientBandwidth
    private let logger: Logger
    private let statistics: TunnelStatistics
    private var count = 0
    private var bulkCount = 0
    private var quietEnd: Scheduled<Void>?
    /// The time between PINGs before the first `quiet`.
    private var usualPingInterval: Duration?

    init(
        _ sessionLoop: SessionLoop,
        quota: ClientQuota,
        bandwidth: ClientBandwidth,
        logger: Logger
    ) {
        self.sessionLoop = sessionLoop
        self.quota = quota
        self.bandwidth = bandwidth
        self.logger = logger
        statistics = TunnelStatistics(tunnel: 0, kind: .probe, role: .client, totals: quota.resources.totals)
    }

    /// Takes a stream of kind probe.
    ///
    /// - Parameter facts: makes the answer to `facts`.
    func open(
        _ stream: StreamID,
        _ request: OpenRequest,
        _ limits: ServerLimits,
        facts: ([PublicPlace]) -> ProbeFacts
    ) {
        guard case .destination(let text) = request.target, let probe = ProbeRequest(text) else {
            return sessionLoop.run(.reset(stream, .notAllowed))
        }
        let bulk = quota.resources.bulkProbes
        let hasBulkRoom =
            !probe.isBulk
            || (bulk.value.load(ordering: .relaxed) < Self.maximumBulk && bulkCount < Self.maximumBulkOfSession)
        let isWithinRate = quota.share.takeForward(perSecond: limits.forwardsPerSecond, now: .now)
        guard isWithinRate, count < Self.maximumStreams, hasBulkRoom, quota.shortage(limits, isCounted: false) == nil
        else {
            return sessionLoop.run(.reset(stream, .busy))
        }
        count += 1
        if probe.isBulk {
            bulkCount += 1
            bulk.value.add(1, ordering: .relaxed)
        }
        connect(stream, request, service(probe, facts), within: probe.isBulk ? Self.bulkTime : nil) { [weak self] in
            self?.count -= 1
            guard probe.isBulk else { return }
            self?.bulkCount -= 1
            bulk.value.subtract(1, ordering: .relaxed)
        }
    }

    /// The session has ended.
    func stop() {
        quietEnd?.cancel()
    }

    private func connect(
        _ stream: StreamID,
        _ request: OpenRequest,
        _ service: InProcessService,
        within limit: TimeAmount?,
        onEnd: @escaping () -> Void
    ) {
        let egress = InProcessEgress(service, loop: sessionLoop.eventLoop)
        let pipe = StreamPipe(
            session: sessionLoop,
            stream: stream,
            policy: StreamPolicy(rateLimits: bandwidth.limit.map { [$0] } ?? []),
            identity: StreamIdentity(
                visitor: request.visitor,
                destination: "probe",
                kind: .probe,
                statistics: statistics
            ),
            logger: logger
        ) { [sessionLoop] pipe in
            pipe.open(stream)
            sessionLoop.run(.accept(stream))
        }
        sessionLoop.attach(pipe, to: stream)
        egress.connect(for: pipe).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.join(pipe, channel, onEnd: onEnd)
                if let limit { self.end(stream, pipe, channel, in: limit) }
            case .failure(let error):
                onEnd()
                if pipe.isPending { pipe.fail(EgressFailure.code(error)) }
            }
        }
    }

    /// Resets a probe that has lasted too long, so that its place is free for others.
    private func end(_ stream: StreamID, _ pipe: StreamPipe, _ channel: any Channel, in time: TimeAmount) {
        let timer = sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: time) { [sessionLoop] in
            sessionLoop.run(.reset(stream, .timeout))
            pipe.abort(.timeout)
        }
        channel.closeFuture.assumeIsolated().whenComplete { _ in timer.cancel() }
    }

    private func join(_ pipe: StreamPipe, _ channel: any Channel, onEnd: @escaping () -> Void) {
        quota.count(channel)
        channel.closeFuture.assumeIsolated().whenComplete { _ in onEnd() }
        guard pipe.isPending else {
            SocketOptions.resetOnClose(channel)
            return channel.close(promise: nil)
        }
        do {
            try channel.pipeline.syncOperations.addHandler(pipe)
            if !channel.isActive { pipe.fail(.connectionReset) }
        } catch {
            pipe.fail(.connectionReset)
            channel.close(promise: nil)
        }
    }

    private func service(_ probe: ProbeRequest, _ facts: ([PublicPlace]) -> ProbeFacts) -> InProcessService {
        switch probe {
        case .facts(let places):
            return ProbeHandlers.text(facts(places).text)
        case .quiet(let seconds):
            beQuiet(for: seconds)
            return ProbeHandlers.text("quiet\n")
        case .echo: return ProbeHandlers.echo
        case .sink: return ProbeHandlers.sink
        case .source: return ProbeHandlers.source
        }
    }

    /// Sends no PING for a while, so that the client can find out how long the path keeps an idle WebSocket.
    private func beQuiet(for seconds: Int) {
        quietEnd?.cancel()
        let usual = usualPingInterval ?? sessionLoop.pingInterval
        usualPingInterval = usual
        let time = TimeAmount.seconds(Int64(seconds))
        sessionLoop.run(.quiet(.seconds(seconds)))
        quietEnd = sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: time) { [sessionLoop] in
            if !sessionLoop.isEnded { sessionLoop.run(.pingInterval(usual)) }
        }
    }
}

/// The sinks and sources of all sessions.
final class BulkProbes: Sendable {
    let value = Atomic(0)
}
