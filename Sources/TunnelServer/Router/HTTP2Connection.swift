import NIOCore
import NIOHPACK
import NIOHTTP2
import TunnelCore

/// A visitor's connection that speaks HTTP/2: its streams, and its end. The library frames it and bounds what it costs.
final class HTTP2Connection: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// Requests of one connection at a time. 100, as RFC 9113 section 6.5.2 recommends: each may become a stream to the
    /// client.
    static let maximumStreams = 100
    /// Bytes of a request's head. As in HTTP/1.
    static let maximumHead = 32_768
    /// Frames that continue one head. A head of that size needs two.
    static let maximumContinuations = 5
    /// Streams that a visitor may reset in ``period``, and streams that may end by an error. A page that is left
    /// resets some dozens.
    static let maximumResets = 200
    /// PING, SETTINGS and PRIORITY frames in ``period``.
    static let maximumControlFrames = 200
    /// The time over which these are counted.
    static let period = TimeAmount.seconds(30)
    /// Time for the streams of a connection to end once the server stops, after which it is closed.
    static let draining = TimeAmount.seconds(30)

    let router: Router
    let channel: any Channel
    let origin: VisitorOrigin
    /// The streams to services that wait for the connection's next request.
    let pool = StreamPool(maximum: StreamPool.maximumOfHTTP2)
    private var streams = 0
    private var lastStream = HTTP2StreamID.rootStream
    private var isDraining = false
    private var idle: Scheduled<Void>?

    init(_ router: Router, _ channel: any Channel, _ origin: VisitorOrigin) {
        (self.router, self.channel, self.origin) = (router, channel, origin)
    }

    /// Adds the library's handler and this one to the connection's pipeline.
    func install() throws {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: Self.maximumStreams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: Self.maximumHead),
            HTTP2Setting(parameter: .enableConnectProtocol, value: 1),
        ]
        connection.maximumSequentialContinuationFrames = Self.maximumContinuations
        connection.maximumBufferedControlFrames = 1_000
        connection.controlFrameRateLimit.maximumCount = Self.maximumControlFrames
        connection.controlFrameRateLimit.windowLength = Self.period
        connection.targetWindowSize = 1_048_576
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = 262_144
        stream.outboundBufferSizeHighWatermark = 65_536
        stream.outboundBufferSizeLowWatermark = 32_768
        stream.streamResetFrameRateLimit.maximumCount = Self.maximumResets
        stream.streamResetFrameRateLimit.windowLength = Self.period
        stream.streamErrorRateLimit.maximumCount = Self.maximumResets
        stream.streamErrorRateLimit.windowLength = Self.period
        let pipeline = channel.pipeline.syncOperations
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server,
            connectionConfiguration: connection,
            streamConfiguration: stream
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.syncOptions?.setOption(.autoRead, value: false)
                try stream.pipeline.syncOperations.addHandler(HTTP2Visitor(self, stream))
            }
        }
        try pipeline.addHandler(self)
        // The library reads frames as they come; its windows bound them.
        try channel.syncOptions?.setOption(.autoRead, value: true)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        router.joined(self)
        watchIdleTime()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        router.left(self)
        idle?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Frames of the connection itself, which the library has handled.
    }

    func channelInactive(context: ChannelHandlerContext) {
        pool.close()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        router.noteFailure(error, of: origin)
        // A stream's own error ends that stream alone.
        guard !(error is NIOHTTP2Errors.StreamError) else { return }
        context.close(promise: nil)
    }

    /// A request begins.
    func opened(_ stream: any Channel) {
        streams += 1
        let id = try? stream.syncOptions?.getOption(HTTP2StreamChannelOptions.streamID)
        lastStream = max(lastStream, id ?? .rootStream)
        idle?.cancel()
    }

    /// A request has ended.
    func closed() {
        streams -= 1
        guard streams == 0 else { return }
        if isDraining { finish() } else { watchIdleTime() }
    }

    private func watchIdleTime() {
        idle?.cancel()
        guard channel.isActive else { return }
        idle = channel.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(router.limits.visitorKeepAlive)) {
            self.finish()
        }
    }

    /// Closes the connection behind what was written. GOAWAY names the last stream that was served, so the visitor may send a
    /// later one elsewhere.
    private func finish() {
        // TLS waits up to 5 s for the visitor's close_notify. Its streams do not.
        pool.close()
        goAway(lastStream).assumeIsolated().whenComplete { _ in self.channel.close(promise: nil) }
    }

    private func goAway(_ last: HTTP2StreamID) -> EventLoopFuture<Void> {
        channel.writeAndFlush(
            HTTP2Frame(
                streamID: .rootStream,
                payload: .goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil)
            )
        )
    }
}

extension HTTP2Connection: RoutedConnection {
    func shed() {
        if streams == 0 { drain() }
    }

    func drain() {
        guard !isDraining, channel.isActive else { return }
        isDraining = true
        if streams == 0 { return finish() }
        // Requests that are on the way are still served (RFC 9113 section 6.8).
        _ = goAway(.maxID)
        channel.eventLoop.assumeIsolated().scheduleTask(in: Self.draining) { self.channel.close(promise: nil) }
    }
}
