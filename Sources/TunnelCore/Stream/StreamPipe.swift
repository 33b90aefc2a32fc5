import Logging
import Mux
import NIOCore

/// One socket, a visitor's or a service's, joined to one stream: the place where TCP's truth is kept.
///
/// | socket | stream |
/// |---|---|
/// | FIN read | END after the bytes |
/// | END, and all bytes written | FIN |
/// | RST, or a write that fails | RESET after the bytes |
/// | RESET, and all bytes written, or 5 s later | RST, by SO_LINGER 0 |
///
/// The socket is read only while the stream takes bytes, so back-pressure reaches whoever sends. What was written to
/// the socket is reported only when the kernel has taken it, so credit means room.
package final class StreamPipe: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum State {
        /// The service is being connected to, or the visitor waits for a stream.
        case pending
        case open(StreamID)
        /// The peer has reset the stream: the socket is reset once it has taken what came before.
        case resetting(StreamID)
        /// Both directions have ended at the session's end; the socket still writes what it has.
        case detached
        case closed
    }

    /// Why a stream ended, for the log.
    private enum Reason: String {
        case finished = "finished"
        case resetHere = "reset by this end's socket"
        case resetThere = "reset by the other end"
        case idle = "silent for too long"
    }

    /// How long a socket may take for the last bytes of a stream that has ended in order, once its session is over.
    package static let detachedPatience = TimeAmount.seconds(60)

    private let driver: SessionDriver
    private let onActive: (StreamPipe) -> Void
    private let logger: Logger
    private let policy: StreamPolicy
    /// Where the stream comes from.
    package let origin: StreamIdentity
    private var state: State
    package private(set) var id: StreamID?
    private var context: ChannelHandlerContext?
    /// The channel's, kept: to make them anew for each question costs a third of the answer.
    private var options: (any NIOSynchronousChannelOptions)?
    private var reason = Reason.finished
    private var resetCode: ResetCode?
    /// For the socket, from before it was connected, or while the kernel takes nothing; bounded by the stream's window.
    private var held = ChunkQueue()
    /// From the socket, from before there was a stream: it is not read then, but one that ends is read to its end.
    private var unsent = ChunkQueue()
    /// Gives up connecting to the service.
    private var cancelConnecting: (() -> Void)?
    private var mayRead = true
    /// The channel was asked to read, and has brought nothing since.
    private var isReading = false
    /// The socket rests, because it has had more than its share of the bandwidth.
    private var isResting = false
    private var lastByte = NIODeadline.now()
    private var idleTimer: Scheduled<Void>?
    /// Ends the wait for a socket that does not take the bytes before a reset.
    private var resetTimer: Scheduled<Void>?
    private var hasFailed = false
    private var inputEnded = false
    /// The socket was reset before there was a stream for what it brought.
    private var isGone = false
    /// The peer has sent END: FIN follows the last byte.
    private var outputEnding = false
    private var outputEnded = false
    private var isDirty = false
    private var isWaitingForDrain = false
    /// Bytes written towards the socket, and those of them that were reported as taken.
    private var written = 0
    private var reported = 0
    private var read = 0
    /// What of these the tunnel's statistics knows.
    private var counted = ByteCounts()

    /// Bytes that went through the socket, each way.
    package struct ByteCounts {
        package var fromSocket = 0
        package var toSocket = 0
    }

    /// A pipe without a stream yet: of a visitor that has just come, or of a service that is being connected to.
    ///
    /// - Parameters:
    ///   - policy: what the socket is held to.
    ///   - origin: where the stream comes from.
    ///   - onActive: the socket is connected; call ``open(_:)`` when there is a stream for it.
    package init(
        driver: SessionDriver,
        stream: StreamID? = nil,
        policy: StreamPolicy = .unbounded,
        origin: StreamIdentity,
        logger: Logger,
        onActive: @escaping (StreamPipe) -> Void
    ) {
        self.onActive = onActive
        self.driver = driver
        self.id = stream
        self.state = .pending
        self.logger = logger
        self.policy = policy
        self.origin = origin
    }

    // MARK: For the statistics

    /// What the socket has moved so far.
    package var moved: ByteCounts { ByteCounts(fromSocket: read, toSocket: reported) }

    /// What it has moved since this was asked last.
    package func takeUncounted() -> ByteCounts {
        defer { counted = moved }
        return ByteCounts(fromSocket: read - counted.fromSocket, toSocket: reported - counted.toSocket)
    }

    // MARK: For the role

    /// The socket is there and the stream too: bytes may flow.
    ///
    /// - Parameter introduction: for the socket, before the stream's own bytes and not counted among them.
    package func open(_ id: StreamID, introducedBy introduction: ByteBuffer? = nil) {
        guard case .pending = state else { return }
        self.id = id
        state = .open(id)
        cancelConnecting = nil
        if let introduction, let context {
            // A socket that is being read is read to its end if a write to it fails.
            resumeReading()
            context.writeAndFlush(wrapOutboundOut(introduction), promise: nil)
        }
        flush()
        mayRead = true
        driver.releasePending(unsent.bytes)
        while let bytes = unsent.popFirst() { mayRead = driver.write(id, bytes) }
        if isGone {
            state = .closed
            reason = .resetHere
            driver.reset(id, .connectionReset)
            return logEnd()
        }
        if inputEnded { driver.finish(id) }
        if let resetCode { return reset(resetCode) }
        if mayRead { resumeReading() }
        lastByte = .now()
        watchSilence()
    }

    /// The service is being connected to; `cancel` is called when nobody wants it any more.
    package func connecting(cancel: @escaping () -> Void) {
        cancelConnecting = cancel
    }

    /// Whether the pipe still waits for its stream or its socket.
    package var isPending: Bool {
        if case .pending = state { true } else { false }
    }

    /// The socket cannot be had: the stream is refused.
    package func fail(_ code: ResetCode) {
        guard case .pending = state else { return }
        state = .closed
        resetTimer?.cancel()
        cancelConnecting = nil
        dropUnsent()
        if let id { driver.reset(id, code) }
    }

    private func dropUnsent() {
        driver.releasePending(unsent.bytes)
        unsent.removeAll()
    }

    // MARK: For the driver

    /// Queues bytes for the socket; true when a flush is newly due.
    package func deliver(_ bytes: ByteBuffer) -> Bool {
        switch state {
        case .pending:
            held.append(bytes, isPacked: true)
            return false
        case .open:
            if isWaitingForDrain {
                held.append(bytes, isPacked: true)
            } else {
                // A socket may stop taking bytes at any time, and a slice that waits keeps the carrier's whole read.
                write(bytes.dense(from: 4))
            }
            return markDirty()
        case .resetting, .detached, .closed:
            return false
        }
    }

    /// Nothing more will be delivered; true when a flush is newly due.
    package func endOutput() -> Bool {
        switch state {
        case .pending:
            outputEnding = true
            return false
        case .open:
            outputEnding = true
            return markDirty()
        case .resetting, .detached, .closed:
            return false
        }
    }

    /// The stream takes bytes again.
    package func resumeReading() {
        mayRead = true
        guard case .open = state, !inputEnded, !isResting, let context else { return }
        read(context)
    }

    private func read(_ context: ChannelHandlerContext) {
        isReading = true
        context.read()
    }

    private func rest(for time: TimeAmount) {
        guard !isResting, let context else { return }
        isResting = true
        context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.isResting = false
            if self.mayRead { self.resumeReading() }
        }
    }

    // MARK: Silence

    private func watchSilence() {
        guard let timeout = policy.idleTimeout, let context else { return }
        idleTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: lastByte + timeout) {
            guard case .open(let id) = self.state else { return }
            guard NIODeadline.now() >= self.lastByte + timeout else { return self.watchSilence() }
            self.reason = .idle
            self.driver.reset(id, .timeout)
            self.closeWithReset()
        }
    }

    /// Both directions have ended in order; what is still to be written is written.
    package func detach() {
        guard case .open = state else { return }
        state = .detached
        flush()
        guard !outputEnded, resetTimer == nil else { return }
        // No account counts its bytes any more.
        resetTimer = driver.loop.assumeIsolated().scheduleTask(in: Self.detachedPatience) {
            if case .detached = self.state { self.closeWithReset() }
        }
    }

    /// The stream was reset: so is the socket, once it has taken what came before. A service that is being connected to
    /// is still wanted if there are bytes for it.
    package func reset(_ code: ResetCode) {
        switch state {
        case .pending where id != nil && !held.isEmpty:
            resetCode = code
            limitReset()
        case .open(let id):
            reason = .resetThere
            resetCode = code
            idleTimer?.cancel()
            state = .resetting(id)
            limitReset()
            flush()
        case .pending, .detached:
            abort(code)
        case .resetting, .closed:
            break
        }
    }

    /// The stream is gone: the socket is reset at once.
    package func abort(_ code: ResetCode) {
        if case .closed = state { return }
        reason = .resetThere
        resetCode = code
        closeWithReset()
    }

    /// Gives the socket some seconds for the bytes before a reset.
    private func limitReset() {
        guard resetTimer == nil, let id else { return }
        // From now on: the process may end before the socket has taken everything.
        if let context { SocketOptions.resetOnClose(context.channel) }
        resetTimer = driver.loop.assumeIsolated().scheduleTask(in: driver.resetPatience) {
            if case .closed = self.state { return }
            self.closeWithReset()
            self.driver.reset(id, .connectionReset)
        }
    }

    /// The socket has taken what came before the reset. The kernel still sends it: a reset now would throw away what waits
    /// there for the visitor's acknowledgements.
    private func finishReset(_ id: StreamID) {
        state = .closed
        resetTimer?.cancel()
        driver.reset(id, .connectionReset)
        guard let channel = context?.channel else { return }
        SocketReset.afterSending(channel, within: driver.resetPatience)
    }

    private func markDirty() -> Bool {
        defer { isDirty = true }
        return !isDirty
    }

    /// Hands everything to the kernel and reports what it took.
    package func flush() {
        isDirty = false
        // A socket that is about to be reset is not ended by FIN before.
        if case .closed = state { return }
        guard let context else { return }
        if !isWaitingForDrain { writeHeld() }
        // A write to a connection that was reset closes the channel, and what the socket sent before would be lost if it
        // is not being read. The reset itself is about to be noticed, and reads the socket to its end first.
        if !isReading, !inputEnded, TCPState(context.channel)?.isClosed == true { return }
        context.flush()
        reportProgress()
    }

    private func write(_ bytes: ByteBuffer) {
        written += bytes.readableBytes
        context?.write(wrapOutboundOut(bytes), promise: nil)
    }

    private func writeHeld() {
        while let bytes = held.popFirst() { write(bytes) }
    }

    private func reportProgress() {
        guard let context, context.channel.isActive else { return }
        // Asked only where something may be left: the answer takes 1,500 instructions.
        let buffered = written > reported ? (try? options?.getOption(.bufferedWritableBytes)) ?? 0 : 0
        let taken = written - buffered - reported
        if taken > 0 {
            reported += taken
            if policy.idleTimeout != nil { lastByte = .now() }
            switch state {
            case .open(let id): grant(id, taken, context)
            case .resetting(let id): driver.consumed(id, taken)
            case .pending, .detached, .closed: break
            }
        }
        guard buffered == 0, held.isEmpty else { return waitForDrain(context) }
        if case .resetting(let id) = state { return finishReset(id) }
        guard outputEnding, !outputEnded else { return }
        outputEnded = true
        // Only now: NIO drops what is unwritten when both directions are closed.
        context.close(mode: .output, promise: nil)
    }

    /// Lets credit go back, later where the socket has had more than its share of the bandwidth.
    private func grant(_ id: StreamID, _ count: Int, _ context: ChannelHandlerContext) {
        guard let time = policy.rest(afterWriting: count) else { return driver.consumed(id, count) }
        let driver = driver
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { driver.consumed(id, count) }
    }

    /// Comes back when the kernel has taken what is buffered now.
    private func waitForDrain(_ context: ChannelHandlerContext) {
        guard !isWaitingForDrain else { return }
        isWaitingForDrain = true
        let drained = context.eventLoop.makePromise(of: Void.self)
        drained.futureResult.assumeIsolated().whenComplete { _ in
            self.isWaitingForDrain = false
            self.flush()
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: drained)
    }

    private func closeWithReset() {
        state = .closed
        resetTimer?.cancel()
        cancelConnecting?()
        cancelConnecting = nil
        dropUnsent()
        guard let channel = context?.channel else { return }
        SocketOptions.resetOnClose(channel)
        channel.close(promise: nil)
    }

    // MARK: The socket

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        options = context.channel.syncOptions
        origin.statistics.joined(self)
        if context.channel.isActive { onActive(self) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        onActive(self)
        context.fireChannelActive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        isReading = false
        read += bytes.readableBytes
        switch state {
        case .open(let id):
            if policy.idleTimeout != nil { lastByte = .now() }
            mayRead = driver.write(id, bytes.dense(from: 2), isReading: true)
            if let time = policy.rest(afterReading: bytes.readableBytes) { rest(for: time) }
        case .pending:
            guard driver.keepPending(bytes.readableBytes) else { return abort(.busy) }
            unsent.append(bytes)
        case .resetting, .detached, .closed: break
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        driver.readCompleted()
        guard case .open = state, mayRead, !inputEnded, !isResting else { return }
        read(context)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            inputEnded = true
            if case .open(let id) = state { driver.finish(id) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset, or a write that failed. What follows is channelInactive.
        hasFailed = true
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        switch state {
        case .open(let id):
            state = .closed
            if outputEnded, !hasFailed {
                // NIO tells an end of input after the end of output as the end of the channel.
                if !inputEnded { driver.finish(id) }
            } else {
                reason = .resetHere
                driver.reset(id, .connectionReset)
            }
        case .pending where id == nil && !unsent.isEmpty:
            // It has no stream yet: what it sent before it was reset has one coming.
            isGone = true
            return context.fireChannelInactive()
        case .pending:
            fail(.connectionReset)
        case .resetting(let id):
            state = .closed
            driver.reset(id, .connectionReset)
        case .detached, .closed:
            state = .closed
        }
        idleTimer?.cancel()
        resetTimer?.cancel()
        logEnd()
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        options = nil
        origin.statistics.left(self)
    }

    private func logEnd() {
        guard let id else { return }
        TunnelMetrics.streams.increment()
        if reason != .finished { TunnelMetrics.resetStreams.increment() }
        var words = reason.rawValue
        if let resetCode { words += ": \(resetCode)" }
        guard logger.logLevel <= .info else { return }
        let (isLogged, suppressed) = origin.statistics.endedStreams.admit(now: .now)
        guard isLogged else { return }
        var metadata = origin.metadata
        if suppressed > 0 { metadata["not_logged_before"] = .string(String(suppressed)) }
        // Strings, since interpolations take half as long again.
        metadata["stream"] = .string(id.description)
        metadata["from_socket"] = .string(String(read))
        metadata["to_socket"] = .string(String(reported))
        metadata["reason"] = .string(words)
        logger.info("stream ended", metadata: metadata)
    }
}
