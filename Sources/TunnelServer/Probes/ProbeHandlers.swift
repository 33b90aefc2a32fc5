import Mux
import NIOCore
import TunnelCore

/// The far ends of probes, as in-process services of the server.
enum ProbeHandlers {
    /// Sends back what arrives.
    static let echo = InProcessService(name: "echo") { $0.pipeline.addHandler(ProbeEcho()) }
    /// Counts what arrives.
    static let sink = InProcessService(name: "sink") { $0.pipeline.addHandler(ProbeSink()) }
    /// Sends bytes.
    static let source = InProcessService(name: "source") { $0.pipeline.addHandler(ProbeSource()) }

    /// Sends a text and ends.
    static func text(_ text: String) -> InProcessService {
        InProcessService(name: "text") { $0.pipeline.addHandler(ProbeText(text)) }
    }
}

/// Sends back what arrives, and reads no more than the client takes.
private final class ProbeEcho: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: context.channel.isWritable).whenFailure { _ in }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(mode: .output, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Counts what arrives, and reports it meanwhile and at the end.
private final class ProbeSink: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The time between two reports.
    private static let period = Duration.milliseconds(100)

    private var count = 0
    private var begin: Instant?
    private var last = Instant.now
    private var reported = Instant.now

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        last = .now
        if begin == nil { (begin, reported) = (last, last) }
        count += unwrapInboundIn(data).readableBytes
        if last.since(reported) >= Self.period { report(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed? = event as? ChannelEvent else { return }
        report(context)
        context.close(mode: .output, promise: nil)
    }

    private func report(_ context: ChannelHandlerContext) {
        reported = last
        // A client that reads no report gets none, so that they do not pile up.
        guard context.channel.isWritable else { return }
        let time = begin.map { last.since($0) / .microseconds(1) } ?? 0
        let report = ByteBuffer(string: "\(count) \(Int64(time))\n")
        context.writeAndFlush(wrapOutboundOut(report), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Sends bytes that do not compress while the client takes them, for a bounded time.
private final class ProbeSource: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let chunk = ByteBuffer(bytes: SecureRandom.bytes(65_536))
    private var left = ProbeStreams.maximumBytes
    private var timer: Scheduled<Void>?
    private var isFinished = false

    func channelActive(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: ProbeStreams.sourceTime) { self.finish(context) }
        send(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        send(context)
    }

    private func send(_ context: ChannelHandlerContext) {
        while !isFinished, context.channel.isActive, context.channel.isWritable {
            context.writeAndFlush(wrapOutboundOut(Self.chunk), promise: nil)
            left -= Self.chunk.readableBytes
            if left <= 0 { finish(context) }
        }
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard !isFinished else { return }
        isFinished = true
        timer?.cancel()
        context.close(mode: .output, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Sends a text and ends.
final class ProbeText: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let text: String

    init(_ text: String) {
        self.text = text
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
