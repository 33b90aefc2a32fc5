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
    private var sent = 0
    /// A minute, in microseconds: no measurement is longer.
    private static let longest = 60_000_000

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
            sent += chunk.readableBytes
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        for byte in unwrapInboundIn(data).readableBytesView {
            guard byte == UInt8(ascii: "\n") else {
                if line.utf8.count < 64 { line.unicodeScalars.append(Unicode.Scalar(byte)) }
                continue
            }
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            if numbers.count == 2 { note(numbers[0], microseconds: numbers[1]) }
            line = ""
        }
    }

    /// Takes a report, unless it contradicts the one before or what was sent.
    private func note(_ bytes: Int, microseconds: Int) {
        let last = run.samples.last ?? RateSample(bytes: 0, time: .zero)
        guard (last.bytes...max(last.bytes, sent)).contains(bytes), (0...Self.longest).contains(microseconds) else {
            return
        }
        let time = Duration.microseconds(microseconds)
        if time >= last.time { run.samples.append(RateSample(bytes: bytes, time: time)) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        run.finish(context.channel)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        run.finish(context.channel)
    }
}
