import Logging
import Mux
import NIOCore
import TunnelCore

/// A visitor that another server of the cluster has sent: joins the stream of the servers' session to one of a client's
/// session here.
///
/// It lives on the event loop of the servers' session. Bytes are counted as taken once the client's session has room for
/// them, so credit means room there. FIN and RST pass in both directions.
final class PeerVisitor: StreamEnd, VisitorStreamReceiver {
    private let session: SessionLoop
    private let id: StreamID
    private var stream: VisitorStream?
    /// Bytes from the other server that the client's session has no room for.
    private var unsent = ChunkQueue()
    private var isFinishDue = false
    /// The visitor's reset follows its bytes, as on one machine.
    private var isResetDue = false
    private var timer: Scheduled<Void>?
    private var isBlocked = false
    private var isClosed = false
    /// Bytes for the other server that its session has queued while it was full.
    private var unreported = 0

    /// - Parameters:
    ///   - session: the session with the other server.
    ///   - id: its stream.
    init(_ session: SessionLoop, _ id: StreamID) {
        (self.session, self.id) = (session, id)
    }

    /// Opens the stream in the client's session.
    func open(to member: RouteMember, _ visitor: RoutedVisitor) {
        session.attach(self, to: id)
        let stream = VisitorStream.open(to: member, for: visitor, on: session.eventLoop)
        stream.receiver = self
        self.stream = stream
        send()
    }

    // MARK: From the other server

    var isPending: Bool { false }
    var isConnecting: Bool { false }
    func begin(_ id: StreamID) {}
    func accepted() {}

    func deliver(_ bytes: ByteBuffer) -> Bool {
        unsent.append(bytes)
        return true
    }

    func endOutput() -> Bool {
        isFinishDue = true
        return true
    }

    func flush() { send() }

    /// Sends bytes while the client's session has room.
    private func send() {
        guard !isClosed, let stream else { return }
        while stream.hasRoom, let bytes = unsent.popFirst() {
            stream.send(bytes)
            session.run(.taken(id, bytes.readableBytes))
        }
        if isFinishDue, unsent.isEmpty {
            isFinishDue = false
            stream.finish()
        }
        if isResetDue, unsent.isEmpty { finishReset() }
    }

    /// The client's session has everything, or does not take it. Until now the bytes count in the servers' session.
    private func finishReset() {
        session.run(.reset(id, .connectionReset))
        close { $0.reset() }
    }

    func pauseReading() { isBlocked = true }

    func resumeReading() {
        isBlocked = false
        let count = unreported
        unreported = 0
        stream?.taken(count)
    }

    func detach() { close { $0.leave() } }

    func reset(_ code: ResetCode) {
        guard !isClosed, !isResetDue else { return }
        isResetDue = true
        timer = session.eventLoop.assumeIsolated().scheduleTask(in: session.resetTimeout) {
            if !self.isClosed { self.finishReset() }
        }
        send()
    }

    func abort(_ code: ResetCode) { close { $0.reset() } }

    private func close(_ end: (VisitorStream) -> Void) {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        unsent.removeAll()
        if let stream { end(stream) }
        stream = nil
    }

    // MARK: From the client's session

    func stream(_ stream: VisitorStream, received bytes: [ByteBuffer]) {
        guard !isClosed else { return stream.taken(bytes.reduce(0) { $0 + $1.readableBytes }) }
        for chunk in bytes {
            session.run(.bytes(id, chunk, isReading: false))
            if isBlocked { unreported += chunk.readableBytes } else { stream.taken(chunk.readableBytes) }
        }
    }

    func streamEnded(_ stream: VisitorStream) {
        if !isClosed { session.run(.finished(id)) }
    }

    func stream(_ stream: VisitorStream, failed failure: StreamFailure) {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        self.stream = nil
        unsent.removeAll()
        session.run(.reset(id, failure.code))
    }

    func streamBegan(_ stream: VisitorStream) {
        // The client's service may answer before it is known to be connected.
        if !isClosed { session.run(.accept(id)) }
    }

    func streamHasRoom(_ stream: VisitorStream) { send() }
}

extension StreamFailure {
    /// The code for the server that the visitor has reached.
    fileprivate var code: ResetCode {
        switch self {
        case .unavailable: .moved
        case .refused: .notAllowed
        case .reset(let code): code
        }
    }
}
