import HTTP1
import NIOCore
import NIOPosix

/// One side of a connection that was handed on to the backend: reads while the other side takes, and tells it the end.
private final class RelaySide: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// A connection on which nothing moves for so long is ended.
    private let idleTimeout: TimeAmount
    weak var other: RelaySide?
    private var context: ChannelHandlerContext?
    private var idle: Scheduled<Void>?
    private var outputEnded = false

    init(idleTimeout: TimeAmount) {
        self.idleTimeout = idleTimeout
    }

    func start() {
        context?.read()
        touch()
    }

    func write(_ bytes: ByteBuffer) {
        touch()
        context?.writeAndFlush(NIOAny(bytes), promise: nil)
    }

    func finish() {
        guard !outputEnded else { return }
        outputEnded = true
        context?.close(mode: .output, promise: nil)
    }

    func close() { context?.close(promise: nil) }

    func readIfWanted() {
        guard let context, other?.context?.channel.isWritable ?? false else { return }
        context.read()
    }

    private func touch() {
        idle?.cancel()
        idle = context?.eventLoop.assumeIsolated().scheduleTask(in: idleTimeout) { self.close() }
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        idle?.cancel()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        touch()
        other?.write(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) { readIfWanted() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { other?.readIfWanted() }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { other?.finish() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        idle?.cancel()
        // What the other side still has to write goes out before its end.
        other?.finishAndClose()
        context.fireChannelInactive()
    }

    private func finishAndClose() {
        guard let context else { return }
        context.writeAndFlush(NIOAny(ByteBuffer())).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }
}

extension Backend {
    /// How long the backend may take to accept.
    private static let connectTimeout = TimeAmount.seconds(10)
    private static let unavailable =
        "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    /// Hands a connection on: `head` goes first, then what has come behind it, then both ways whatever comes.
    ///
    /// - Parameter idle: the silence after which it is ended.
    func take(_ channel: any Channel, _ head: RequestHead, rest: ByteBuffer, idle: Duration) {
        var first = ByteBuffer()
        do throws(HTTP1Error) {
            try head.serialize(into: &first)
        } catch {
            return channel.close(promise: nil)
        }
        first.writeImmutableBuffer(rest)
        let loop = channel.eventLoop
        let near = RelaySide(idleTimeout: TimeAmount(idle))
        let far = RelaySide(idleTimeout: TimeAmount(idle))
        (near.other, far.other) = (far, near)
        do {
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.pipeline.syncOperations.addHandler(near)
        } catch {
            return channel.close(promise: nil)
        }
        let sides = NIOLoopBound((near, far), eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(Self.connectTimeout)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { backend in
                backend.eventLoop.makeCompletedFuture {
                    if isLoopback(host) { LoopbackPacing.end(on: backend) }
                    try backend.pipeline.syncOperations.addHandler(sides.value.1)
                }
            }
            .resolver(HostResolver(for: .service, on: loop))
            .connect(host: host, port: port)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success:
                    far.write(first)
                    near.start()
                    far.start()
                case .failure:
                    near.write(ByteBuffer(string: Self.unavailable))
                    near.finish()
                    loop.assumeIsolated().scheduleTask(in: .seconds(1)) { near.close() }
                }
            }
    }
}
