import NIOCore
import TunnelCore

/// The near end of a `sink` probe: sends as much as the path takes, and reads how much has arrived.
final class UploadMeter: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let time: TimeAmount
    private let chunk = ByteBuffer(bytes: SecureRandom.bytes(65_536))
    private let run: RateRun
    private var line = ""

    init(for time: Duration, _ promise: EventLoopPromise<[RateSample]>) {
        self.time = TimeAmount(time)
        run = RateRun(promise)
    }

    func channelActive(context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.run.finish(context.channel) }
        send(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        send(context)
    }

    private func send(_ context: ChannelHandlerContext) {
        while !run.isFinished, context.channel.isActive, context.channel.isWritable {
            context.writeAndFlush(wrapOutboundOut(chunk), promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        for byte in unwrapInboundIn(data).readableBytesView {
            guard byte == UInt8(ascii: "\n") else {
                if line.utf8.count < 64 { line.unicodeScalars.append(Unicode.Scalar(byte)) }
                continue
            }
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            if numbers.count == 2 {
                run.samples.append(RateSample(bytes: numbers[0], time: .microseconds(numbers[1])))
            }
            line = ""
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        run.finish(context.channel)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        run.finish(context.channel)
    }
}
