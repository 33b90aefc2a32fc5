import Logging
import Mux
import NIOCore
import TunnelCore

/// A stream to a client's service, on the session's event loop: from ``VisitorStream`` to the session.
///
/// Bytes from the client are counted as taken once the visitor's socket has them, so credit means room there.
final class RoutedStream: StreamEnd, CountedStream {
    private enum State {
        /// There is no stream yet. The visitor's bytes are kept.
        case waiting(isFinished: Bool)
        case open(StreamID, isFinished: Bool)
        case closed(StreamID?)
    }

    /// Time for the service to end its side once the visitor has gone.
    static let lingering = TimeAmount.seconds(5)

    let identity: StreamIdentity
    private let session: SessionLoop
    private let link: VisitorLink
    private let policy: StreamPolicy
    private let logger: Logger
    private let onEnd: () -> Void
    private var state = State.waiting(isFinished: false)
    private var unsent = ChunkQueue()
    private var isBlocked = false
    /// Bytes that the session has queued beyond its wish, for which the visitor waits.
    private var unreported = 0
    private var outbox: [ByteBuffer] = []
    private var endIsDue = false
    private var isFlushDue = false
    /// Called with the other end's reason for a reset.
    var onReset: (ResetCode) -> Void = { _ in }
    /// Whether the visitor learns that the session has opened the stream.
    var reportsBeginning = false
    /// Whether the visitor learns that the other end has accepted the stream.
    var reportsAcceptance = false
    private var isAccepted = false
    /// The visitor has left: what comes is dropped.
    private var hasLeft = false
    private(set) var moved = StreamPipe.ByteCounts()
    private var lastByte = NIODeadline.now()
    private var timer: Scheduled<Void>?

    /// - Parameter onEnd: called once the stream is gone.
    init(
        _ session: SessionLoop,
        _ link: VisitorLink,
        policy: StreamPolicy,
        identity: StreamIdentity,
        logger: Logger,
        onEnd: @escaping () -> Void
    ) {
        (self.session, self.link, self.policy) = (session, link, policy)
        (self.identity, self.logger, self.onEnd) = (identity, logger, onEnd)
        identity.logBegin(to: logger)
        identity.statistics.joined(self)
    }

    var id: StreamID? {
        switch state {
        case .waiting: nil
        case .open(let id, _): id
        case .closed(let id): id
        }
    }

    // MARK: From the visitor

    func receive(_ bytes: ByteBuffer) {
        moved.fromSocket += bytes.readableBytes
        lastByte = .now()
        switch state {
        case .waiting:
            guard session.keepPending(bytes.readableBytes) else { return fail(.unavailable) }
            unsent.append(bytes)
        case .open(let id, _):
            queue(bytes, of: id)
        case .closed:
            break
        }
    }

    private func queue(_ bytes: ByteBuffer, of id: StreamID) {
        session.run(.bytes(id, bytes.dense(from: 2), isReading: false))
        noteQueued(bytes.readableBytes)
    }

    /// The session has queued bytes. The visitor learns of these, and of no others, once their bandwidth is there.
    private func noteQueued(_ count: Int) {
        guard let time = policy.rest(afterReading: count) else {
            unreported += count
            return reportQueued()
        }
        session.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.unreported += count
            self.reportQueued()
        }
    }

    private func reportQueued() {
        guard !isBlocked else { return }
        report(queued: unreported)
        unreported = 0
    }

    private func report(queued count: Int) {
        if count > 0 { link.visitor.send { $0.queued(count) } }
    }

    /// The visitor sends nothing more.
    func finish() {
        switch state {
        case .waiting:
            state = .waiting(isFinished: true)
        case .open(let id, isFinished: false):
            state = .open(id, isFinished: true)
            session.run(.finished(id))
        case .open, .closed:
            break
        }
    }

    /// The visitor sends and takes nothing more. The service has some time to end its side.
    func leave() {
        guard !isClosed else { return }
        hasLeft = true
        if case .open(let id, _) = state {
            let waiting = outbox.reduce(0) { $0 + $1.readableBytes }
            outbox = []
            if waiting > 0 { session.run(.taken(id, waiting)) }
        }
        finish()
        timer?.cancel()
        timer = session.eventLoop.assumeIsolated().scheduleTask(in: Self.lingering) { self.resetByVisitor() }
    }

    /// The tunnel is not public any more. The present request may finish.
    func release() {
        link.visitor.send { $0.release() }
    }

    /// The visitor has gone.
    func resetByVisitor() {
        guard !isClosed else { return }
        if case .open(let id, _) = state { session.run(.reset(id, .connectionReset)) }
        close(.resetByThisSocket)
    }

    /// The visitor has taken bytes.
    func taken(_ count: Int) {
        guard case .open(let id, _) = state else { return }
        guard let time = policy.rest(afterWriting: count) else { return session.run(.taken(id, count)) }
        session.eventLoop.assumeIsolated().scheduleTask(in: time) { [session] in session.run(.taken(id, count)) }
    }

    // MARK: From the session

    var isPending: Bool {
        if case .waiting = state { true } else { false }
    }

    var isConnecting: Bool { false }

    /// Whether the other end has neither accepted nor reset the stream.
    var isUnanswered: Bool { !isAccepted && !isClosed }

    private var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    func begin(_ id: StreamID) {
        guard case .waiting(let isFinished) = state else { return }
        state = .open(id, isFinished: isFinished)
        if reportsBeginning { link.visitor.send { $0.began() } }
        let count = unsent.bytes
        session.releasePending(count)
        while let bytes = unsent.popFirst() { session.run(.bytes(id, bytes, isReading: false)) }
        if isFinished { session.run(.finished(id)) }
        if count > 0 { noteQueued(count) }
        // A visitor that has left has a time limit already.
        if !hasLeft { watchIdleTime() }
    }

    func accepted() {
        isAccepted = true
        if reportsAcceptance { link.visitor.send { $0.accepted() } }
    }

    func deliver(_ bytes: ByteBuffer) -> Bool {
        guard case .open(let id, _) = state else { return false }
        guard !hasLeft else {
            session.run(.taken(id, bytes.readableBytes))
            return false
        }
        lastByte = .now()
        moved.toSocket += bytes.readableBytes
        outbox.append(bytes)
        return needsFlush()
    }

    func endOutput() -> Bool {
        guard case .open = state else { return false }
        endIsDue = true
        return needsFlush()
    }

    private func needsFlush() -> Bool {
        defer { isFlushDue = true }
        return !isFlushDue
    }

    func flush() {
        isFlushDue = false
        let (bytes, end) = (outbox, endIsDue)
        (outbox, endIsDue) = ([], false)
        guard !bytes.isEmpty || end else { return }
        link.visitor.send { visitor in
            if !bytes.isEmpty { visitor.receive(bytes) }
            if end { visitor.ended() }
        }
    }

    func pauseReading() {
        isBlocked = true
    }

    func resumeReading() {
        isBlocked = false
        reportQueued()
    }

    func detach() {
        guard !isClosed else { return }
        flush()
        close(.finished)
    }

    func reset(_ code: ResetCode) {
        guard !isClosed else { return }
        onReset(code)
        flush()
        if case .open(let id, _) = state {
            session.run(.reset(id, .connectionReset))
            fail(.reset(code), .resetByOtherEnd(code))
        } else {
            fail(.unavailable)
        }
    }

    func abort(_ code: ResetCode) {
        guard !isClosed else { return }
        onReset(code)
        fail(id == nil || code == .goingAway ? .unavailable : .reset(code), .resetByOtherEnd(code))
    }

    // MARK: The end

    /// Whether there is a stream, or may be one.
    var isLive: Bool { !isClosed }

    /// This server ends the stream.
    func end(_ code: ResetCode) {
        guard !isClosed else { return }
        if let id { session.run(.reset(id, code)) }
        fail(.reset(code))
    }

    /// The other end is silent: the visitor may go elsewhere, unless the stream was accepted.
    func giveUp() {
        guard isUnanswered else { return }
        if let id { session.run(.reset(id, .connectionReset)) }
        fail(.unavailable)
    }

    private func fail(_ failure: StreamFailure, _ ending: SocketState.Ending = .withoutSocket) {
        link.visitor.send { $0.failed(failure) }
        close(ending)
    }

    private func close(_ ending: SocketState.Ending) {
        let id = id
        session.releasePending(unsent.bytes)
        unsent.removeAll()
        state = .closed(id)
        timer?.cancel()
        if let id { identity.logEnd(of: id, moved, ending, to: logger) }
        identity.statistics.left(self)
        link.session.clear()
        onEnd()
    }

    private func watchIdleTime() {
        guard let timeout = policy.idleTimeout else { return }
        timer = session.eventLoop.assumeIsolated().scheduleTask(deadline: lastByte + timeout) {
            guard NIODeadline.now() >= self.lastByte + timeout else { return self.watchIdleTime() }
            guard case .open(let id, _) = self.state else { return }
            self.session.run(.reset(id, .timeout))
            self.fail(.reset(.timeout), .idle)
        }
    }
}
