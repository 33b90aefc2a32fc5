import HTTP1
import NIOCore
import TunnelAdmin
import TunnelCore

/// One of the two sockets of a relayed connection. It reads while the other side takes bytes, and passes its end on.
///
/// The near side faces the peer, the far side the backend.
final class BackendRelaySide: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Time for a socket to take its last bytes after the other side is gone.
    static let lingering = TimeAmount.seconds(5)

    /// Silence after which the connection is closed.
    private let idleTimeout: TimeAmount
    /// The parser of the request's body on the near side, which passes on the body alone; nil on the far side.
    private var body: RequestBody?
    weak var other: BackendRelaySide?
    private var context: ChannelHandlerContext?
    /// Bytes for a socket that is not connected yet.
    private var held = ByteBuffer()
    /// The other side's end before this socket was connected: true for a reset; nil while it lives.
    private var heldEnd: Bool?
    private var idle: Scheduled<Void>?
    private(set) var hasWritten = false
    private var outputEnded = false
    private var hasFailed = false
    /// The other side is gone, and bytes from this socket are dropped.
    private var isLingering = false
    /// Whether reading has stopped, because the request is complete or refused.
    private var hasStoppedReading = false
    /// Whether the request was malformed and has been answered.
    private(set) var isRefused = false

    private var onRequest: (() -> Void)?

    /// Calls `action` once the whole request has arrived, and never if the connection ends before that.
    func whenRequestIsComplete(_ action: @escaping () -> Void) {
        if hasRequest { action() } else { onRequest = action }
    }

    /// Whether the whole request has arrived.
    var hasRequest: Bool { body?.isFinished ?? true }

    private func reportRequest() {
        let report = onRequest
        onRequest = nil
        report?()
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

    /// Flushes, unless the peer has reset the connection.
    ///
    /// A write to such a connection closes the channel, and bytes that the peer sent before would be lost. NIO is about to
    /// notice the reset, and reads the socket to its end first.
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

    /// Ends this side as the other side has ended, after the bytes that are left.
    ///
    /// - Parameter isReset: whether the other side was reset. Otherwise it has sent FIN.
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
        // Closing a socket that has unread bytes sends RST, which may destroy bytes that the peer has not read.
        if !isReset { context.read() }
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingering) {
            if isReset { SocketOptions.resetOnClose(channel) }
            channel.close(promise: nil)
        }
    }

    func readIfWanted() {
        let isWanted = isLingering || (!hasStoppedReading && other?.context?.channel.isWritable ?? false)
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

    /// Passes bytes of this side on. Bytes after the end of a request are dropped.
    func pass(_ bytes: ByteBuffer) {
        var bytes = bytes
        guard body != nil else {
            touch()
            other?.write(bytes)
            return
        }
        do throws(HTTP1Error) {
            let taken = try body?.take(from: &bytes) ?? ByteBuffer()
            if bytes.readableBytes > 0 { hasStoppedReading = true }
            if hasRequest, onRequest != nil { reportRequest() }
            guard taken.readableBytes > 0 else { return }
            touch()
            other?.write(taken)
        } catch {
            refuse()
        }
    }

    /// Answers in place of the backend, unless its answer has begun, and ends the connection.
    func answer(_ text: String) {
        hasStoppedReading = true
        guard !hasWritten, let context else { return close() }
        hasWritten = true
        context.write(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        end(isReset: false)
    }

    /// Refuses a malformed body. The backend's connection is reset, so that it sees no complete request.
    private func refuse() {
        hasStoppedReading = true
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
