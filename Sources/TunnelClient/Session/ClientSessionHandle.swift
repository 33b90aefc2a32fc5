import Crypto
import Logging
import Mux
import NIOCore
import Synchronization
import TunnelAdmin
import TunnelCore

/// A session as the client's reconnecting sees it: from outside its event loop, over all its carriers.
final class ClientSessionHandle: Sendable {
    /// How it ended.
    struct End: Sendable {
        let description: String
        /// Seconds after which the server wants to be asked again.
        let retryAfter: UInt32?
        /// How long its last carrier had served.
        let held: Duration
        /// The peer broke the protocol: dialling again at once would not help.
        let isViolation: Bool
        /// What the server refused for good, so that no other session would get it either.
        let refused: String?
    }

    /// What makes the client dial.
    enum Turn: Sendable {
        /// The carrier of that number is lost.
        case lost(LostCarrier, carrier: Int)
        /// The carrier of that number should be replaced while it lives.
        case renewal(why: String, carrier: Int)
        /// What ``remind(_:in:)`` was asked for.
        case reminder(Int)
        /// The session is over. Nothing follows.
        case ended(End)
    }

    /// What happens, for one listener.
    let turns: AsyncStream<Turn>
    /// Done when the session is over.
    let ended: EventLoopFuture<End>
    private let turn: AsyncStream<Turn>.Continuation
    private let loop: any EventLoop
    private let logger: Logger
    private let software: String
    private let since = WallClock.unixSeconds
    private let id: [UInt8]
    private let resumeKey: SymmetricKey
    private let session: NIOLoopBound<ClientSession>
    private let inside: NIOLoopBound<Inside>
    private let carriers = Atomic(1)
    private let over = Atomic(false)
    /// When the carrier was lost, in the event loops' nanoseconds; 0 while there is one.
    private let lostAt = Atomic<UInt64>(0)

    /// What only the event loop knows.
    private final class Inside {
        var route: DialRoute
        var carrierSince = Instant.now
        var epoch: UInt64 = 0
        var renewal: Scheduled<Void>?

        init(_ route: DialRoute) {
            self.route = route
        }
    }

    /// Starts the session; on its event loop.
    init(
        _ grant: ClientHandshake.Grant,
        _ carrier: Carrier,
        _ route: DialRoute,
        _ dialler: Dialler,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) {
        let loop = dialler.loop
        var logger = dialler.logger
        logger[metadataKey: "server"] = "\(route.endpoint)"
        dialler.totals.addSession()
        logger.notice("session opened", metadata: route.proxyMetadata.merging(["software": "\(grant.software)"]) { $1 })
        let promise = loop.makePromise(of: End.self)
        var limits = dialler.configuration.limits
        limits.grace = min(limits.grace, .seconds(Int64(grant.welcome.grace)))
        let sessionLoop = SessionLoop(
            session: Session(
                role: .client,
                limits: limits,
                peerWindow: grant.welcome.initialWindow,
                seed: SecureRandom.seed(),
                now: .now
            ),
            carrier: carrier,
            loop: loop,
            pollsBusily: dialler.configuration.pollsBusily,
            memory: dialler.memory,
            logger: logger
        )
        (turns, turn) = AsyncStream.makeStream(of: Turn.self)
        self.loop = loop
        self.logger = logger
        id = grant.welcome.session
        resumeKey = grant.resumeKey
        software = grant.software
        ended = promise.futureResult
        inside = NIOLoopBound(Inside(route), eventLoop: loop)
        session = NIOLoopBound(
            ClientSession(
                sessionLoop: sessionLoop,
                forwards: dialler.configuration.forwards,
                limits: dialler.configuration.clientLimits,
                totals: dialler.totals,
                progress: dialler.progress,
                serverHost: route.endpoint.host,
                names: dialler.context.names,
                exitsOnRefusal: dialler.configuration.exitsOnRefusal,
                logger: logger
            ),
            eventLoop: loop
        )
        session.value.start { [self] event in
            switch event {
            case .bound(let forward, let binding): onBound(forward, binding)
            case .lost(let carrier): lost(carrier)
            case .renewal(let seconds): scheduleRenewal(in: .random(in: 0...Double(seconds)), "the server asks for it")
            case .ended(let end, let refused): promise.succeed(finish(end, refused))
            }
        }
    }

    // MARK: Looked at from anywhere

    /// Whether the session is over.
    var isOver: Bool { over.load(ordering: .relaxed) }

    /// The number of the carrier that it has, or had last: 1 for the first.
    var carrier: Int { carriers.load(ordering: .relaxed) }

    /// Since when there is no carrier; nil while there is one.
    var withoutCarrierSince: Instant? {
        let time = lostAt.load(ordering: .relaxed)
        return time == 0 ? nil : Instant(nanoseconds: time)
    }

    // MARK: On the event loop

    private func lost(_ carrier: LostCarrier) {
        TunnelMetrics.lostCarriers.increment()
        lostAt.store(max(1, Instant.now.nanoseconds), ordering: .relaxed)
        inside.value.renewal?.cancel()
        turn.yield(.lost(carrier, carrier: self.carrier))
    }

    private func finish(_ end: SessionEnd, _ refused: String?) -> End {
        over.store(true, ordering: .relaxed)
        inside.value.renewal?.cancel()
        let end = End(end, held: Instant.now.since(inside.value.carrierSince), refused: refused)
        turn.yield(.ended(end))
        turn.finish()
        return end
    }

    private func scheduleRenewal(in seconds: Double, _ why: String) {
        inside.value.renewal?.cancel()
        let carrier = carrier
        inside.value.renewal = loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(seconds * 1e9))) { [turn] in
            turn.yield(.renewal(why: why, carrier: carrier))
        }
    }

    /// What a RESUME needs, for a carrier that is about to ask for it; nil where the session is over. Until that carrier
    /// is taken or given up, what the present one brings is kept aside.
    func ticket() -> ClientHandshake.Ticket? {
        let sessionLoop = session.value.sessionLoop
        guard !sessionLoop.isEnded else { return nil }
        inside.value.epoch += 1
        let resumption = Resumption(
            session: id,
            epoch: inside.value.epoch,
            received: sessionLoop.deferFrames(),
            nonce: SecureRandom.bytes(32)
        )
        return ClientHandshake.Ticket(resumption, key: resumeKey)
    }

    /// The server has given the session this carrier.
    func goOn(_ carrier: Carrier, _ route: DialRoute, peerReceived: UInt64) {
        guard !isOver else {
            return session.value.sessionLoop.run(.attach(carrier, peerReceived: peerReceived, first: nil))
        }
        let pause = withoutCarrierSince.map { Instant.now.since($0) } ?? .zero
        lostAt.store(0, ordering: .relaxed)
        inside.value.route = route
        inside.value.carrierSince = .now
        inside.value.renewal?.cancel()
        let number = carriers.add(1, ordering: .relaxed).newValue
        TunnelMetrics.resumes.increment()
        logger.notice(
            "session resumed",
            metadata: route.proxyMetadata.merging(
                ["carriers": "\(number)", "without_carrier": "\(pause.inShort)"]
            ) { $1 }
        )
        session.value.sessionLoop.run(.attach(carrier, peerReceived: peerReceived, first: nil))
    }

    /// The server does not know the session any more, and has begun another one.
    func forget() {
        session.value.sessionLoop.run(.forget)
    }

    // MARK: From anywhere

    /// The carrier that was asked for did not come about; the present one, where there is one, goes on.
    func goOnAsBefore() {
        loop.execute { self.session.value.sessionLoop.run(.takeDeferred) }
    }

    /// How the carrier is to be kept alive, and when it is to be replaced; counted from the carrier's own start.
    func keep(pingInterval: Duration?, renewal: Duration?) {
        loop.execute { [self] in
            if let pingInterval { session.value.sessionLoop.run(.pingInterval(pingInterval)) }
            guard let renewal, !isOver, withoutCarrierSince == nil else { return }
            let left = renewal - Instant.now.since(inside.value.carrierSince)
            scheduleRenewal(in: max(0, left / .seconds(1)), "it has served for \(renewal.inShort)")
        }
    }

    /// Asks for a new carrier while the present one lives.
    func renew(_ why: String) {
        turn.yield(.renewal(why: why, carrier: carrier))
    }

    /// Asks again for the ports that the server has refused, without waiting any longer.
    func askForPorts() {
        loop.execute { self.session.value.askForPorts() }
    }

    /// Makes ``turns`` say a number after a while.
    func remind(_ number: Int, in wait: Duration) {
        let wait = max(0, wait / .nanoseconds(1))
        loop.scheduleTask(in: .nanoseconds(Int64(wait))) { [turn] in turn.yield(.reminder(number)) }
    }

    /// Asks the server for a sign of life, which must come soon.
    func probe(within patience: Duration) {
        loop.execute { self.session.value.sessionLoop.run(.probe(timeout: patience)) }
    }

    /// What whoever runs the client sees of it now.
    func status() -> EventLoopFuture<ClientSessionStatus> {
        loop.submit { [self] in
            session.value.status(inside.value.route, software: software, since: since, carriers: carrier)
        }
    }

    /// What the metrics say of it now.
    func measure() -> EventLoopFuture<TunnelGauges> {
        loop.submit { TunnelGauges(self.session.value.sessionLoop, self.session.value.statistics) }
    }

    /// Lets the streams finish.
    func drain() {
        loop.execute { self.session.value.drain() }
    }

    /// Ends it now.
    func end() {
        loop.execute { self.session.value.end() }
    }
}

extension DialRoute {
    /// The proxy, for the log.
    fileprivate var proxyMetadata: Logger.Metadata {
        proxy.map { ["proxy": "\($0.redacted)"] } ?? [:]
    }
}

extension ClientSessionHandle.End {
    fileprivate init(_ end: SessionEnd, held: Duration, refused: String?) {
        var retryAfter: UInt32?
        if case .peer(let reason) = end { retryAfter = reason.retryAfter }
        let isViolation =
            switch end {
            case .violation: true
            case .carrierLost(let loss): loss.isProtocolViolation
            case .local, .peer, .abandoned, .forgotten: false
            }
        self.init(description: "\(end)", retryAfter: retryAfter, held: held, isViolation: isViolation, refused: refused)
    }
}
