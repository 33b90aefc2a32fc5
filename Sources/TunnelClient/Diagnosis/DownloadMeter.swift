import Mux
import NIOCore
import TunnelCore

/// The near end of a `source` probe: counts what arrives.
final class DownloadMeter: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer

    /// The time between two samples.
    static let period = Duration.milliseconds(100)

    private let time: TimeAmount
    private let run: RateRun
    private var begin = Instant.now
    private var bytes = 0

    init(for time: Duration, _ promise: EventLoopPromise<[RateSample]>) {
        self.time = TimeAmount(time)
        run = RateRun(promise)
    }

    func channelActive(context: ChannelHandlerContext) {
        begin = .now
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.run.finish(context.channel) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytes
        let time = Instant.now.since(begin)
        if time >= (run.samples.last?.time ?? .zero) + Self.period {
            run.samples.append(RateSample(bytes: bytes, time: time))
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { run.finish(context.channel) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        run.finish(context.channel)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        run.finish(context.channel)
    }
}
