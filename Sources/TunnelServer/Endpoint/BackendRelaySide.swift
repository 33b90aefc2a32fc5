import HTTP1
import NIOCore
import TunnelAdmin
import TunnelCore

/// One side of a connection that was handed on to the backend: reads while the other side takes, and tells it the end.
final class BackendRelaySide: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long a side whose other side is gone may take for what is left for it.
    static let lingering = TimeAmount.seconds(5)

    /// A connection on which nothing moves for so long is ended.
    private let idleTimeout: TimeAmount
    /// What of this side's bytes belongs to the request; nil for all of them.
    private var body: RequestBody?
    weak var other: BackendRelaySide?
    private var context: ChannelHandlerContext?
    /// What waits for the connection, as much as one socket has brought by then.
    private var held = ByteBuffer()
    /// Whether the other side was reset or has ended, before there was a connection; nil while it lives.
    private var heldEnd: Bool?
    private var idle: Scheduled<Void>?
    private(set) var hasWritten = false
    private var outputEnded = false
    private var hasFailed = false
    /// The other side is gone: what comes is dropped.
    private var isLingering = false
    /// What follows a request is not read.
    private var isDeaf = false
    /// What came is no request, and has been answered so.
    private(set) var isRefused = false

    private var onRequest: (() -> Void)?

    /// Calls `action` once the whole request has come: now, or when it has. Never if the connection ends before.
    func whenRequestHasCome(_ action: @escaping () -> Void) {
        if hasRequest { action() } else { onRequest = action }
    }

    /// Whether the whole request has come.
    var hasRequest: Bool { body?.isFinished ?? true }

    private func tellRequest() {
        let tell = onRequest
        onRequest = nil
        tell?()
    }

    init(idleTimeout: TimeAmount, body: RequestBody? = nil) {
        self.idleTimeout = idleTimeout
        self.body = body
    }

    func start() {
        context?.read()
        touch()
    }

    // MARK: From the other side

    func write(_ bytes: ByteBuffer) {
        touch()
        hasWritten = true
        guard let context else {
            held.writeImmutableBuffer(bytes)
            return
        }
        context.write(wrapOutboundOut(bytes), promise: nil)
        flush()
    }

    /// A write to a connection that was reset closes the channel, and what it has sent before would be lost if it is not
    /// being read. The reset itself is about to be noticed, and reads the socket to its end first.
    private func flush() {
        guard let context, TCPState(context.channel)?.isClosed != true else { return }
        context.flush()
    }

    func finish() {
        guard !outputEnded, let context else { return }
        outputEnded = true
        guard TCPState(context.channel)?.isClosed != true else { return }
        context.close(mode: .output, promise: nil)
    }

    func close() { context?.close(promise: nil) }

    /// The other side is gone: this one gets what is left for it, and then the same end.
    ///
    /// - Parameter isReset: whether the other side was reset, rather than ended.
    private func end(isReset: Bool) {
        guard let context else {
            heldEnd = isReset
            return
        }
        guard !isLingering else { return }
        isLingering = true
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            if isReset { SocketReset.afterSending(channel, within: Self.lingering) } else { self.finish() }
        }
        // A close over unread bytes would be a reset, which destroys what the other end has not read.
        if !isReset { context.read() }
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingering) {
            if isReset { SocketOptions.resetOnClose(channel) }
            channel.close(promise: nil)
        }
    }

    func readIfWanted() {
        let isWanted = isLingering || (!isDeaf && other?.context?.channel.isWritable ?? false)
        if isWanted { context?.read() }
    }

    private func touch() {
        idle?.cancel()
        idle = context?.eventLoop.assumeIsolated().scheduleTask(in: idleTimeout) { self.close() }
    }

    // MARK: The socket

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard context.channel.isActive, held.readableBytes > 0 else { return }
        write(held)
        held = ByteBuffer()
        if let heldEnd { end(isReset: heldEnd) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idle?.cancel()
        onRequest = nil
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isLingering else { return }
        pass(unwrapInboundIn(data))
    }

    /// Hands bytes of this side on; of a request's those that belong to it.
    func pass(_ bytes: ByteBuffer) {
        var bytes = bytes
        guard body != nil else {
            touch()
            other?.write(bytes)
            return
        }
        do throws(HTTP1Error) {
            let taken = try body?.take(from: &bytes) ?? ByteBuffer()
            if bytes.readableBytes > 0 { isDeaf = true }
            if hasRequest, onRequest != nil { tellRequest() }
            guard taken.readableBytes > 0 else { return }
            touch()
            other?.write(taken)
        } catch {
            refuse()
        }
    }

    /// Answers in the backend's place, unless its answer has begun, and ends the connection.
    func answer(_ text: String) {
        isDeaf = true
        guard !hasWritten, let context else { return close() }
        hasWritten = true
        context.write(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        end(isReset: false)
    }

    /// The body is malformed: the backend gets no end of it.
    private func refuse() {
        isDeaf = true
        isRefused = true
        if !hasWritten, let context {
            hasWritten = true
            context.write(wrapOutboundOut(ByteBuffer(string: Self.badRequest)), promise: nil)
            end(isReset: false)
        }
        guard let far = other?.context?.channel else { return }
        SocketOptions.resetOnClose(far)
        far.close(promise: nil)
    }

    private static let badRequest = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    func channelReadComplete(context: ChannelHandlerContext) { readIfWanted() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { other?.readIfWanted() }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            if isLingering { context.close(promise: nil) } else { other?.finish() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        hasFailed = true
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        idle?.cancel()
        other?.end(isReset: hasFailed)
        context.fireChannelInactive()
    }
}
