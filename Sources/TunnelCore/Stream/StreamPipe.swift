import Logging
import Mux
import NIOCore

/// One socket, a visitor's or a service's, joined to one stream: performs what ``SocketState`` decides.
///
/// The socket is read only while the stream takes bytes, so back-pressure reaches the sender. Bytes count as taken only
/// once the kernel has them, so credit means room.
package final class StreamPipe: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// How long a socket may take for the last bytes of a stream that has ended in order, once its session is over.
    package static let detachedTimeout = TimeAmount.seconds(60)
    /// What waits for a socket is copied if its storage is more times as large. The longest frame is a little less than a
    /// quarter of the carrier's largest read, and is not copied.
    static let sparsest = 5

    /// Bytes that went through the socket, each way.
    package struct ByteCounts {
        package var fromSocket = 0
        package var toSocket = 0

        package init(fromSocket: Int = 0, toSocket: Int = 0) {
            (self.fromSocket, self.toSocket) = (fromSocket, toSocket)
        }

        static func - (left: ByteCounts, right: ByteCounts) -> ByteCounts {
            ByteCounts(fromSocket: left.fromSocket - right.fromSocket, toSocket: left.toSocket - right.toSocket)
        }
    }

    private let session: SessionLoop
    private let onActive: (StreamPipe) -> Void
    private let logger: Logger
    private let policy: StreamPolicy
    /// Where the stream comes from.
    package private(set) var identity: StreamIdentity
    private var state: SocketState
    private var writer = SocketWriter()
    /// From the socket, before there was a stream. It is not read then, but a socket that ends is read to its end.
    private var unsent = ChunkQueue()
    private var context: ChannelHandlerContext?
    /// The channel's options. Kept, because making them anew takes a third of the time of an answer.
    private var options: (any NIOSynchronousChannelOptions)?
    /// Called once the socket is closed.
    package var onEnd: ((SocketState.Ending) -> Void)?
    /// Makes the bytes that the socket gets once the stream is accepted or refused, or was never opened: before the stream's
    /// own, or before it is closed. Nil if bytes flow before ACCEPT. Called once.
    package var answer: ((StreamAnswer) -> ByteBuffer?)?
    /// Takes the stream's bytes while the service is not known yet, in place of the socket.
    package var reader: ((ByteBuffer) -> Void)?
    /// Gives up connecting to the service.
    private var cancelConnecting: (() -> Void)?
    private var lastByte = NIODeadline.now()
    private var idleTimer: Scheduled<Void>?
    /// Ends the wait for a socket that does not take its last bytes.
    private var lastBytesTimer: Scheduled<Void>?
    private var isFlushDue = false
    private var fromSocket = 0

    /// A pipe that lacks its stream or its socket: of a visitor that has just come, or of a service that is being
    /// connected to.
    ///
    /// - Parameters:
    ///   - policy: the bounds of the socket.
    ///   - onActive: the socket is connected; call ``open(_:introducedBy:)`` when there is a stream for it.
    package init(
        session: SessionLoop,
        stream: StreamID? = nil,
        policy: StreamPolicy = .unbounded,
        identity: StreamIdentity,
        logger: Logger,
        onActive: @escaping (StreamPipe) -> Void
    ) {
        self.session = session
        self.state = stream.map { .connecting($0) } ?? .waiting
        self.policy = policy
        self.identity = identity
        self.logger = logger
        self.onActive = onActive
        identity.logBegin(to: logger)
    }

    /// What the peer has answered to a stream of this end.
    package enum StreamAnswer: Sendable, Hashable {
        case accepted
        case refused(ResetCode)
    }

    // MARK: For the statistics

    /// The stream, once there is one.
    package var id: StreamID? { state.stream }

    /// What the socket has moved so far.
    package var moved: ByteCounts { ByteCounts(fromSocket: fromSocket, toSocket: writer.taken) }

    // MARK: For the role

    /// Whether the stream or the socket is still missing.
    package var isPending: Bool { state.isPending }

    /// Whether the service's socket is still missing.
    package var isConnecting: Bool { state.isConnecting }

    /// The stream's bytes have named where it leads.
    package func leads(to destination: String) {
        identity.destination = destination
    }

    /// The service is being connected to; `cancel` is called if the stream ends before.
    package func connecting(cancel: @escaping () -> Void) {
        cancelConnecting = cancel
    }

    /// The stream is there. With an ``answer``, no byte flows before its ACCEPT.
    package func begin(_ id: StreamID) {
        if answer == nil { open(id) } else { _ = state.asked(id) }
    }

    /// The peer has accepted this end's stream.
    package func accepted() {
        guard state.isAsking, let id, let answer else { return }
        self.answer = nil
        open(id, introducedBy: answer(.accepted))
    }

    /// Both the socket and the stream are there: bytes flow.
    ///
    /// - Parameter introduction: for the socket, before the stream's own bytes and not counted among them.
    package func open(_ id: StreamID, introducedBy introduction: ByteBuffer? = nil) {
        let opening = state.opened(id)
        guard opening != .ignored else { return }
        cancelConnecting = nil
        if let introduction, let context {
            // If a write to a socket fails, NIO reads it to its end only while it is being read.
            read()
            context.writeAndFlush(wrapOutboundOut(introduction), promise: nil)
        }
        writeOut()
        session.releasePending(unsent.bytes)
        while let bytes = unsent.popFirst() { session.run(.bytes(id, bytes, isReading: false)) }
        switch opening {
        case .ignored: break
        case .gone:
            session.run(.reset(id, .connectionReset))
            logEnd()
        case .flows(let finish, let code):
            if finish { session.run(.finished(id)) }
            if let code { return reset(code) }
            read()
            lastByte = .now()
            watchIdleTime()
        }
    }

    /// The socket could not be connected: the stream is refused.
    package func fail(_ code: ResetCode) {
        guard state.refused() else { return }
        lastBytesTimer?.cancel()
        cancelConnecting = nil
        reader = nil
        writer.drop()
        dropUnsent()
        if let id { session.run(.reset(id, code)) }
    }

    // MARK: From the session to the socket

    /// Queues bytes for the socket; true if a flush is newly due.
    package func deliver(_ bytes: ByteBuffer) -> Bool {
        switch state.delivery {
        case .written where writer.isFlowing:
            // The socket may stop taking bytes at any time, and a slice that waits keeps the carrier's whole read.
            let dense = bytes.dense(from: Self.sparsest)
            writer.writes(dense)
            context?.write(wrapOutboundOut(dense), promise: nil)
            return needsFlush()
        case .written:
            writer.keep(bytes)
            return needsFlush()
        case .kept:
            if let reader { reader(bytes) } else { writer.keep(bytes) }
            return false
        case .dropped:
            return false
        }
    }

    /// Ends ``reader``, and keeps the bytes that it did not need for the socket.
    package func endReading(keeping rest: ByteBuffer) {
        reader = nil
        if rest.readableBytes > 0, case .kept = state.delivery { writer.keep(rest) }
    }

    /// Nothing more will be delivered; true if a flush is newly due.
    package func endOutput() -> Bool {
        state.outputEnds() && needsFlush()
    }

    private func needsFlush() -> Bool {
        defer { isFlushDue = true }
        return !isFlushDue
    }

    /// Performs the flush that ``deliver(_:)`` or ``endOutput()`` made due.
    package func flush() {
        isFlushDue = false
        writeOut()
    }

    /// Hands everything to the kernel and reports what it took.
    private func writeOut() {
        // A socket that is about to be reset does not get FIN first.
        guard !state.isClosed, let context else { return }
        while let bytes = writer.nextKept() { context.write(wrapOutboundOut(bytes), promise: nil) }
        // A write to a connection that was reset closes the channel, and what the socket sent before would be lost if it
        // is not being read. The reset itself is about to be noticed, and NIO reads the socket to its end first.
        if !state.noticesReset, TCPState(context.channel)?.isClosed == true { return }
        context.flush()
        reportTaken(context)
    }

    private func reportTaken(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        // Asked only if something may be left: the answer takes 1,500 instructions.
        let buffered = writer.isUncertain ? (try? options?.getOption(.bufferedWritableBytes)) ?? 0 : 0
        let taken = writer.count(buffered: buffered)
        if taken > 0 {
            if policy.idleTimeout != nil { lastByte = .now() }
            if let id = state.creditedStream { giveCredit(id, taken) }
        }
        guard buffered == 0, !writer.isKeeping else { return waitForDrain(context) }
        switch state.drained() {
        case .nothing:
            break
        case .closeOutput:
            // Only now: NIO drops what is unwritten when both directions are closed.
            SocketOptions.finishOutput(context)
        case .reset(let id):
            lastBytesTimer?.cancel()
            session.run(.reset(id, .connectionReset))
            // The kernel still sends: a reset now would discard what waits for the other side's acknowledgements.
            SocketReset.afterSending(context.channel, within: session.resetTimeout)
        }
    }

    /// Lets credit go back, later if the socket has used up its bandwidth.
    private func giveCredit(_ id: StreamID, _ count: Int) {
        guard let time = policy.rest(afterWriting: count) else { return session.run(.taken(id, count)) }
        session.eventLoop.assumeIsolated().scheduleTask(in: time) { [session] in session.run(.taken(id, count)) }
    }

    /// Returns once the kernel has taken what the channel buffers now.
    private func waitForDrain(_ context: ChannelHandlerContext) {
        guard writer.drain() else { return }
        let drained = context.eventLoop.makePromise(of: Void.self)
        drained.futureResult.assumeIsolated().whenComplete { _ in
            self.writer.drained()
            self.writeOut()
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: drained)
    }

    /// Both directions have ended in order; bytes that are left are still written.
    package func detach() {
        guard state.detached() else { return }
        writeOut()
        guard state.isDetachedAndWriting, lastBytesTimer == nil else { return }
        // No account counts these bytes any more.
        lastBytesTimer = session.eventLoop.assumeIsolated().scheduleTask(in: Self.detachedTimeout) {
            if self.state.isDetachedAndWriting { self.abort(.timeout) }
        }
    }

    // MARK: From the socket to the session

    /// Asks the channel for bytes, if the stream takes them.
    private func read() {
        if state.asksToRead() { context?.read() }
    }

    /// The stream takes no more bytes for now.
    package func pauseReading() {
        state.blocked()
    }

    /// The stream takes bytes again.
    package func resumeReading() {
        state.unblocked()
        read()
    }

    private func rest(for time: TimeAmount) {
        guard state.rests(), let context else { return }
        context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.state.rested()
            self.read()
        }
    }

    private func dropUnsent() {
        session.releasePending(unsent.bytes)
        unsent.removeAll()
    }

    // MARK: Resets and time

    /// The stream was reset: so is the socket, once it has taken what came before. A service that is being connected to
    /// is still needed if there are bytes for it.
    package func reset(_ code: ResetCode) {
        switch state.reset(code, isHolding: writer.isKeeping, isTold: answer != nil) {
        case .ignored: break
        case .atOnce: closeWithReset()
        case .afterRefusal: refuse(code)
        case .afterConnecting: limitLastBytes()
        case .afterDelivered:
            idleTimer?.cancel()
            limitLastBytes()
            writeOut()
        }
    }

    /// Tells the socket that the stream was refused, and closes it.
    ///
    /// A socket that is closed with unread bytes sends RST, which may destroy the answer. So the socket is read to its FIN.
    private func refuse(_ code: ResetCode) {
        dropUnsent()
        let bytes = answer?(.refused(code))
        answer = nil
        guard let bytes, let context else { return closeWithReset() }
        lastBytesTimer = session.eventLoop.assumeIsolated().scheduleTask(in: session.resetTimeout) {
            context.close(promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        SocketOptions.finishOutput(context)
        read()
    }

    /// The stream is gone: the socket is reset at once, unless it expects an answer.
    package func abort(_ code: ResetCode) {
        if answer != nil, isPending { return reset(code) }
        if state.abort(code) { closeWithReset() }
    }

    /// Bounds the time for the bytes before a reset.
    private func limitLastBytes() {
        // Set now: the process may end before the socket has taken everything.
        if let context { SocketOptions.resetOnClose(context.channel) }
        guard lastBytesTimer == nil else { return }
        lastBytesTimer = session.eventLoop.assumeIsolated().scheduleTask(in: session.resetTimeout) {
            guard self.state.resetIsOverdue() else { return }
            self.closeWithReset()
            if let id = self.id { self.session.run(.reset(id, .connectionReset)) }
        }
    }

    private func watchIdleTime() {
        guard let timeout = policy.idleTimeout, let context else { return }
        idleTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: lastByte + timeout) {
            guard NIODeadline.now() >= self.lastByte + timeout else { return self.watchIdleTime() }
            guard let id = self.state.idled() else { return }
            self.session.run(.reset(id, .timeout))
            self.closeWithReset()
        }
    }

    private func closeWithReset() {
        lastBytesTimer?.cancel()
        cancelConnecting?()
        cancelConnecting = nil
        reader = nil
        answer = nil
        writer.drop()
        dropUnsent()
        guard let channel = context?.channel else { return }
        SocketOptions.resetOnClose(channel)
        channel.close(promise: nil)
    }

    // MARK: The channel

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        options = context.channel.syncOptions
        identity.statistics.joined(self)
        if context.channel.isActive { onActive(self) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        onActive(self)
        context.fireChannelActive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        fromSocket += bytes.readableBytes
        switch state.received() {
        case .stream(let id):
            if policy.idleTimeout != nil { lastByte = .now() }
            session.run(.bytes(id, bytes.dense(from: 2), isReading: true))
            if let time = policy.rest(afterReading: bytes.readableBytes) { rest(for: time) }
        case .kept:
            guard session.keepPending(bytes.readableBytes) else {
                if let id { session.run(.reset(id, .busy)) }
                return abort(.busy)
            }
            unsent.append(bytes)
        case .dropped:
            break
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        session.run(.readCompleted)
        read()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent, let id = state.inputEnded() { session.run(.finished(id)) }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        state.failed()
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        switch state.inactive(isHolding: !unsent.isEmpty) {
        case .awaitsStream: return context.fireChannelInactive()
        case .nothing: break
        case .finish(let id): session.run(.finished(id))
        case .reset(let id): session.run(.reset(id, .connectionReset))
        }
        cancelConnecting = nil
        answer = nil
        idleTimer?.cancel()
        lastBytesTimer?.cancel()
        logEnd()
        if let ending = state.ending { onEnd?(ending) }
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        options = nil
        identity.statistics.left(self)
    }

    private func logEnd() {
        guard let id, let ending = state.ending else { return }
        identity.logEnd(of: id, moved, ending, to: logger)
    }
}
