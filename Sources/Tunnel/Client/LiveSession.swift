import Logging
import Mux
import NIOCore

/// A session as the client's reconnecting sees it: from outside its event loop.
final class LiveSession: Sendable {
    /// How it ended.
    struct End: Sendable {
        let description: String
        /// Seconds after which the server wants to be asked again.
        let retryAfter: UInt32?
        /// How long it had stood.
        let held: Duration
        /// The peer broke the protocol: dialling again at once would not help.
        let isViolation: Bool
        /// What the server refused for good, so that no other session would get it either.
        let refused: String?
    }

    /// Done when the session is over.
    let ended: EventLoopFuture<End>
    private let loop: any EventLoop
    private let route: DialRoute
    private let software: String
    private let since = WallClock.unixSeconds
    private let session: NIOLoopBound<ClientSession>

    /// Starts the session; on its event loop.
    init(
        _ grant: ClientOpening.Grant,
        _ carrier: Carrier,
        _ route: DialRoute,
        _ dialler: Dialler,
        onBound: @escaping @Sendable (RemoteForward, Binding) -> Void
    ) {
        let loop = dialler.loop
        let began = Moment.now
        var logger = dialler.logger
        logger[metadataKey: "server"] = "\(route.endpoint)"
        if let proxy = route.proxy { logger[metadataKey: "proxy"] = "\(proxy.redacted)" }
        dialler.totals.addSession()
        logger.notice("session opened", metadata: ["software": "\(grant.software)"])
        let promise = loop.makePromise(of: End.self)
        let driver = SessionDriver(
            session: Session(
                role: .client,
                limits: dialler.configuration.limits,
                peerWindow: grant.welcome.initialWindow,
                seed: SecureRandom.seed(),
                now: began
            ),
            carrier: carrier,
            loop: loop,
            logger: logger
        )
        let session = ClientSession(
            driver: driver,
            forwards: dialler.configuration.forwards,
            limits: dialler.configuration.clientLimits,
            totals: dialler.totals,
            logger: logger
        ) { event in
            switch event {
            case .bound(let forward, let binding):
                onBound(forward, binding)
            case .ended(let end, let refused):
                promise.succeed(End(end, held: Moment.now.since(began), refused: refused))
            }
        }
        self.loop = loop
        self.route = route
        self.software = grant.software
        self.ended = promise.futureResult
        self.session = NIOLoopBound(session, eventLoop: loop)
        session.start()
    }

    /// What whoever runs the client sees of it now.
    func status() -> EventLoopFuture<ClientSessionStatus> {
        loop.submit { self.session.value.status(self.route, software: self.software, since: self.since) }
    }

    /// What the metrics say of it now.
    func measure() -> EventLoopFuture<TunnelGauges> {
        loop.submit { TunnelGauges(self.session.value.driver, self.session.value.ledgers) }
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

extension LiveSession.End {
    fileprivate init(_ end: SessionEnd, held: Duration, refused: String?) {
        var retryAfter: UInt32?
        if case .peer(let reason) = end { retryAfter = reason.retryAfter }
        var isViolation = false
        switch end {
        case .violation(let error): isViolation = error.kind != .silence
        case .carrierLost(let loss): isViolation = loss.isProtocolViolation
        case .local, .peer: break
        }
        self.init(description: "\(end)", retryAfter: retryAfter, held: held, isViolation: isViolation, refused: refused)
    }
}
