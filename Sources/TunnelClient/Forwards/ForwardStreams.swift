import Logging
import Mux
import NIOCore
import ProxyConnect
import TunnelCore

/// The streams that one session of a client opens for its forwards: from an accepted connection to an open stream.
///
/// ```
///  accept ──▶ SOCKS request ──▶ open ──▶ stream
///             (-D only)          │          ▲
///                                ▼          │
///                             pending ──────┘
///                                │
///                                ▼
///                       reset at the deadline
/// ```
///
/// A connection is pending while the session has no carrier, or while the server takes no further stream. Connections
/// without a stream are bounded, whatever they wait for; further ones wait in the kernel's listen queue.
final class ForwardStreams: StreamOpener {
    /// An end that waits for its stream, with the accepted connection that it belongs to.
    private struct Opening {
        let pipe: any StreamEnd
        var connection: ObjectIdentifier?
    }

    let sessionLoop: SessionLoop
    private let logger: Logger
    private var pending: PendingStreams<Opening>
    private var timer: Scheduled<Void>?
    /// Accepted connections that have no stream yet.
    private var unopened: Set<ObjectIdentifier> = []
    private let capacity: Int
    /// Destinations that the server has not allowed, each reported once.
    private var notAllowed: Set<String> = []
    /// Destinations that are remembered so. Past it they are reported again.
    private static let maximumNotAllowed = 256
    /// Called when ``hasRoom`` has changed, unless the session has ended.
    var onRoomChange: (() -> Void)?

    init(_ sessionLoop: SessionLoop, _ limits: ClientLimits, logger: Logger) {
        self.sessionLoop = sessionLoop
        self.logger = logger
        capacity = limits.waitingConnections
        pending = PendingStreams(
            capacity: capacity,
            timeout: limits.waitingTime,
            streamTimeout: limits.waitingTime
        )
    }

    /// Whether another connection may be accepted, so that each one has a deadline.
    var hasRoom: Bool { !sessionLoop.isEnded && unopened.count < capacity }

    /// Counts a connection until it has a stream or is closed.
    func accepted(_ channel: any Channel) {
        let connection = ObjectIdentifier(channel)
        change { $0.insert(connection) }
        channel.closeFuture.assumeIsolated().whenComplete { [weak self] _ in self?.change { $0.remove(connection) } }
    }

    /// A connection that was accepted has its stream, or needs none.
    func served(_ connection: ObjectIdentifier) {
        change { $0.remove(connection) }
    }

    private func change<Result>(_ change: (inout Set<ObjectIdentifier>) -> Result) {
        let before = hasRoom
        _ = change(&unopened)
        if hasRoom != before { onRoomChange?() }
    }

    /// Joins a connection to a new stream.
    ///
    /// - Parameters:
    ///   - program: the address of the program that has connected, for the log.
    ///   - answer: makes the bytes that the program gets once the stream is accepted or refused, or cannot be opened; nil if
    ///     bytes flow before.
    ///   - onEnd: called once the connection is closed, with the reason; without it a refusal is logged.
    func open(
        _ channel: any Channel,
        to destination: Destination,
        from program: String,
        _ statistics: TunnelStatistics,
        answer: ((StreamPipe.StreamAnswer) -> ByteBuffer?)? = nil,
        onEnd: ((SocketState.Ending) -> Void)? = nil
    ) throws {
        let text = destination.description
        let onEnd = onEnd ?? { [weak self] ending in self?.noteEnd(ending, text) }
        try open(channel, OpenRequest(destination: text, visitor: program), statistics, answer: answer, onEnd: onEnd)
    }

    /// Joins a connection to a new stream of any kind but udp.
    func open(
        _ channel: any Channel,
        _ request: OpenRequest,
        _ statistics: TunnelStatistics,
        answer: ((StreamPipe.StreamAnswer) -> ByteBuffer?)? = nil,
        onEnd: @escaping (SocketState.Ending) -> Void
    ) throws {
        guard case .destination(let text) = request.target else { return }
        let identity = StreamIdentity(
            visitor: request.visitor,
            destination: text,
            kind: request.kind,
            statistics: statistics
        )
        let pipe = StreamPipe(session: sessionLoop, identity: identity, logger: logger) {
            [weak self, connection = ObjectIdentifier(channel)] pipe in
            self?.open(Opening(pipe: pipe, connection: connection), request)
        }
        pipe.onEnd = onEnd
        pipe.answer = answer
        try channel.pipeline.syncOperations.addHandler(pipe)
    }

    /// What a new flow of a UDP forward belongs to.
    func flow(to destination: Destination, from program: String, _ statistics: TunnelStatistics) -> IngressFlow.Opening?
    {
        guard !sessionLoop.isEnded else { return nil }
        let text = destination.description
        var opening = IngressFlow.Opening(
            sessionLoop,
            OpenRequest(destination: text, kind: .udp, visitor: program),
            identity: StreamIdentity(visitor: program, destination: text, kind: .udp, statistics: statistics),
            logger: logger
        )
        opening.onEnd = { [weak self] ending in
            if let ending { self?.noteEnd(ending, text) }
        }
        return opening
    }

    /// Reports a destination that the server does not allow, which a program sees as a reset only.
    private func noteEnd(_ ending: SocketState.Ending, _ destination: String) {
        guard case .resetByOtherEnd(.notAllowed) = ending else { return }
        if notAllowed.count >= Self.maximumNotAllowed { notAllowed = [] }
        guard notAllowed.insert(destination).inserted else { return }
        logger.warning(
            "the server does not let this client connect to a destination; its operator can allow it with allow_connect",
            metadata: ["destination": "\(destination)"]
        )
    }

    func open(_ end: any StreamEnd, _ request: OpenRequest) {
        open(Opening(pipe: end), request)
    }

    private func open(_ opening: Opening, _ request: OpenRequest) {
        guard !sessionLoop.isEnded, !pending.isFull else { return opening.pipe.reset(.busy) }
        guard pending.isEmpty, let id = sessionLoop.open(request, opening.pipe) else {
            pending.append(opening, request, now: .now)
            return watchDeadline()
        }
        begin(opening, id)
    }

    private func begin(_ opening: Opening, _ id: StreamID) {
        if let connection = opening.connection { served(connection) }
        opening.pipe.begin(id)
    }

    /// Opens streams for pending connections, after the session has got room or another carrier.
    func roomChanged() {
        while let next = pending.first(at: 0) {
            guard next.pipe.pipe.isPending else {
                pending.removeFirst(at: 0)
                continue
            }
            guard let id = sessionLoop.open(next.request, next.pipe.pipe) else { return }
            pending.removeFirst(at: 0)
            begin(next.pipe, id)
        }
    }

    /// Resets all pending connections, since the session is over.
    func stop() {
        timer?.cancel()
        for waiting in pending.removeAll() { waiting.pipe.pipe.reset(.goingAway) }
    }

    private func watchDeadline() {
        guard timer == nil, let deadline = pending.nextDeadline else { return }
        timer = sessionLoop.eventLoop.assumeIsolated().scheduleTask(
            deadline: .uptimeNanoseconds(deadline.nanoseconds)
        ) {
            self.timer = nil
            for waiting in self.pending.removeExpired(now: .now) { waiting.pipe.pipe.reset(.timeout) }
            self.watchDeadline()
        }
    }
}
