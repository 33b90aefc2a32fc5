import Cluster
import Logging
import Mux
import NIOCore
import TunnelCore

/// The way of visitors from this server to the sessions of another one: a session of ours there. It is dialled when a visitor
/// needs it, and closed when it is idle.
///
/// ```
///  visitor ──▶ VisitorStream ──▶ RoutedStream ──▶ this link ──▶ the other server: PeerVisitor ──▶ its client's session
/// ```
///
/// It lives on one event loop.
final class PeerLink {
    private enum State {
        case idle
        case dialling(PeerAttempt, any PeerConnection)
        case open(PeerAttempt, any PeerConnection, any StreamOpener)

        var attempt: PeerAttempt? {
            switch self {
            case .idle: nil
            case .dialling(let attempt, _), .open(let attempt, _, _): attempt
            }
        }

        var connection: (any PeerConnection)? {
            switch self {
            case .idle: nil
            case .dialling(_, let connection), .open(_, let connection, _): connection
            }
        }

        /// What opens streams; nil without a session that lives.
        var opener: (any StreamOpener)? {
            guard case .open(_, _, let opener) = self, !opener.sessionLoop.isEnded else { return nil }
            return opener
        }
    }

    /// A visitor that waits for the session.
    private struct Waiting {
        let until: NIODeadline
        let begin: (any StreamOpener) -> Void
        let fail: () -> Void
    }

    /// Visitors that wait for the session at a time. 1,000: a port's listen queue holds as many.
    static let waitingVisitors = 1_000
    /// Time without a stream after which the session is closed. 60 s: a new one takes a few round trips.
    static let idleTimeout = TimeAmount.seconds(60)

    let server: ServerID
    let loop: any EventLoop
    private let health: PeerHealth
    private let dialler: any PeerDialler
    private let statistics: TunnelStatistics
    private let metrics: ClusterMetrics
    private let logger: Logger
    private let onChange: (Bool) -> Void
    private var url: String
    private var state = State.idle
    private var waiting: [Waiting] = []
    private var timer: Scheduled<Void>?
    /// Why the last attempt has failed, if no session has begun since.
    private var lastFailure: String?
    private var idleTimer: Scheduled<Void>?
    private let silence: SilenceWatch
    private let times: PeerLinkTimes
    private(set) var streams = 0
    /// The streams of clients' carriers.
    private var carriers: [RoutedStream] = []
    private var isClosing = false
    /// Called when a stream has ended.
    var onStreamEnd: () -> Void = {}

    /// - Parameter onChange: called when the session has begun or is over.
    init(
        to server: ServerRecord,
        _ dialler: any PeerDialler,
        _ health: PeerHealth,
        totals: TrafficTotals,
        metrics: ClusterMetrics,
        times: PeerLinkTimes,
        on loop: any EventLoop,
        logger: Logger,
        onChange: @escaping (Bool) -> Void
    ) {
        (self.server, url, self.dialler) = (server.id, server.peerURL, dialler)
        (self.health, self.loop, self.onChange) = (health, loop, onChange)
        (self.metrics, self.times) = (metrics, times)
        silence = SilenceWatch(times, on: loop) { health.failed() }
        statistics = TunnelStatistics(tunnel: 0, role: .server, service: "server \(server.id)", totals: totals)
        var logger = logger
        logger[metadataKey: "peer_server"] = "\(server.id)"
        self.logger = logger
    }

    /// Whether the session lives.
    var isOpen: Bool { state.opener != nil }

    // MARK: Streams

    /// Opens a visitor's stream to a tunnel of the other server.
    ///
    /// - Parameters:
    ///   - onMoved: called if the other server does not have what is asked for, or is not reached.
    ///   - onEnd: called once the stream is gone.
    func open(
        _ destination: PeerDestination,
        _ visitor: RoutedVisitor,
        _ link: VisitorLink,
        onMoved: @escaping @Sendable () -> Void = {},
        onEnd: @escaping @Sendable () -> Void
    ) {
        var request = OpenRequest(destination: destination.text, visitor: visitor.description)
        request.publicAddress = visitor.publicAddress
        streams += 1
        idleTimer?.cancel()
        withSession { [self] opener in
            let stream = RoutedStream(
                opener.sessionLoop,
                link,
                policy: StreamPolicy(),
                identity: StreamIdentity(visitor: visitor.description, statistics: statistics),
                logger: logger
            ) { [weak self] in
                self?.streamEnded()
                onEnd()
            }
            stream.reportsAcceptance = true
            if case .carrier = destination {
                metrics.relayedCarrier()
                carriers.removeAll { !$0.isLive }
                carriers.append(stream)
            } else {
                metrics.relayedVisitor()
            }
            stream.onReset = { if $0 == .moved { onMoved() } }
            link.session.set(stream)
            opener.open(stream, request)
            silence.expectAnswer(to: stream, in: opener.sessionLoop)
            link.visitor.send { $0.joined() }
        } fail: { [self] in
            streamEnded()
            onMoved()
            onEnd()
            link.visitor.send { $0.failed(.unavailable) }
        }
    }

    /// Ends clients' carriers, so that the clients dial another server. Their sessions go on.
    func releaseCarriers() {
        let all = carriers
        carriers = []
        for carrier in all { carrier.end(.goingAway) }
    }

    /// What the flow of a new sender belongs to. While the session is dialled its datagrams are dropped.
    func flow(_ destination: PeerDestination, from remote: SocketAddress) -> IngressFlow.Admission {
        guard let opener = state.opener else {
            withSession({ _ in }, fail: {})
            return .refused
        }
        let visitor = remote.inShort
        var opening = IngressFlow.Opening(
            opener.sessionLoop,
            OpenRequest(destination: destination.text, kind: .udp, visitor: visitor),
            identity: StreamIdentity(visitor: visitor, kind: .udp, statistics: statistics),
            logger: logger
        )
        streams += 1
        metrics.relayedVisitor()
        idleTimer?.cancel()
        opening.onEnd = { [weak self] _ in self?.streamEnded() }
        return .flow(opening)
    }

    /// Asks whether a session at the other server has a client that answers.
    ///
    /// - Parameter then: called once. The answer is false also if the server is not reached. It is nil if the server has no
    ///   room for the question.
    func isAlive(_ session: [UInt8], then: @escaping (Bool?) -> Void) {
        ask(.life(session: session), then)
    }

    /// Asks the other server for its clients.
    ///
    /// - Parameter then: called once.
    func askForClients(within time: TimeAmount, then: @escaping (Result<[UInt8], PeerFailure>) -> Void) {
        streams += 1
        idleTimer?.cancel()
        let document = PeerDocument(limit: ClusterClients.answerBytes) { [weak self] result in
            self?.streamEnded()
            then(result)
        }
        document.wait(time, on: loop)
        withSession { opener in
            document.open(in: opener, OpenRequest(destination: PeerDestination.clients.text, visitor: "server"))
        } fail: {
            document.refuse("it was not reached")
        }
    }

    /// Sends a report, which has no answer. If the server is not reached, nothing happens.
    func tell(_ report: PeerDestination) {
        if report.fits { ask(report) { _ in } }
    }

    /// Sends a question, whose stream counts until its answer.
    private func ask(_ question: PeerDestination, _ then: @escaping (Bool?) -> Void) {
        streams += 1
        idleTimer?.cancel()
        let end: (Bool?) -> Void = { [weak self] answer in
            self?.streamEnded()
            then(answer)
        }
        withSession { opener in
            opener.open(
                PeerQuestion(opener.sessionLoop, end),
                OpenRequest(destination: question.text, visitor: "server")
            )
        } fail: {
            end(false)
        }
    }

    private func streamEnded() {
        streams -= 1
        onStreamEnd()
        closeWhenIdle()
    }

    private func closeWhenIdle() {
        guard streams == 0 else { return }
        idleTimer?.cancel()
        idleTimer = loop.assumeIsolated().scheduleTask(in: Self.idleTimeout) { [weak self] in
            guard let self, streams == 0 else { return }
            close()
        }
    }

    // MARK: The session

    /// Performs work in the session, at once or when it has begun.
    private func withSession(_ begin: @escaping (any StreamOpener) -> Void, fail: @escaping () -> Void) {
        if let opener = state.opener { return begin(opener) }
        guard waiting.count < Self.waitingVisitors else { return fail() }
        waiting.append(Waiting(until: .now() + times.session, begin: begin, fail: fail))
        watchDeadline()
        guard case .idle = state else { return }
        let attempt = PeerAttempt(self)
        let owner = NIOLoopBound<any PeerConnectionOwner>(attempt, eventLoop: loop)
        state = .dialling(attempt, dialler.connect(to: url, owner))
    }

    private func watchDeadline() {
        guard timer == nil, let first = waiting.first else { return }
        timer = loop.assumeIsolated().scheduleTask(deadline: first.until) { [weak self] in
            guard let self else { return }
            timer = nil
            let expired = waiting.prefix { $0.until <= .now() }
            waiting.removeFirst(expired.count)
            health.failed()
            for visitor in expired { visitor.fail() }
            watchDeadline()
        }
    }

    /// A session has begun, or continues on another carrier.
    func began(_ attempt: PeerAttempt, _ opener: any StreamOpener) {
        guard let connection = state.connection, state.attempt === attempt else { return }
        state = .open(attempt, connection, opener)
        lastFailure = nil
        health.succeeded()
        onChange(true)
        timer?.cancel()
        timer = nil
        let ready = waiting
        waiting = []
        for visitor in ready { visitor.begin(opener) }
        closeWhenIdle()
    }

    /// A session is over, or was not begun.
    func ended(_ attempt: PeerAttempt, _ reason: String) {
        guard state.attempt === attempt else { return }
        logEnd(reason)
        state = .idle
        if !isClosing { health.failed() }
        onChange(false)
        timer?.cancel()
        timer = nil
        let failed = waiting
        waiting = []
        for visitor in failed { visitor.fail() }
    }

    /// An attempt that fails is the operator's matter, once for each reason. A link that ends is not.
    private func logEnd(_ reason: String) {
        guard case .dialling = state, !isClosing, reason != lastFailure else {
            return logger.info("link to a server of the cluster has ended", metadata: ["reason": "\(reason)"])
        }
        lastFailure = reason
        logger.warning("another server of the cluster is not reached", metadata: ["reason": "\(reason)"])
    }

    /// The server has another URL.
    func update(_ record: ServerRecord) {
        url = record.peerURL
    }

    /// Closes the session. A later visitor begins another one.
    func close() {
        isClosing = true
        defer { isClosing = false }
        idleTimer?.cancel()
        guard let attempt = state.attempt else { return }
        state.connection?.close()
        ended(attempt, "it is not needed")
    }
}
