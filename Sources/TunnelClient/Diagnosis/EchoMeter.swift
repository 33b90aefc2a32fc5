import Mux
import NIOCore
import TunnelCore

/// The near end of an `echo` probe: sends small messages at equal times, and notes when each comes back.
final class EchoMeter: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes of a message, as of a keystroke with its reply.
    static let messageLength = 32

    /// What came back, and when.
    struct Times: Sendable, Equatable {
        /// The time from each message to its reply, in the order of the messages.
        var roundTrips: [Duration] = []
        /// The time between a reply and the one before it.
        var gaps: [Duration] = []
        /// Messages that were sent.
        var sent = 0
    }

    private let count: Int
    private let interval: TimeAmount
    private let promise: EventLoopPromise<Times>
    private var times = Times()
    private var departures = CircularBuffer<Instant>()
    private var received = 0
    private var lastArrival: Instant?
    private var timer: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    /// - Parameters:
    ///   - count: messages to send.
    ///   - promise: succeeds once all replies are there, or once the stream has ended.
    init(count: Int, every interval: Duration, _ promise: EventLoopPromise<Times>) {
        self.count = count
        self.interval = TimeAmount(interval)
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        send(context)
    }

    /// Ends the measurement with the replies that are there; on the event loop.
    func stop() {
        if let context { finish(context) }
    }

    private func send(_ context: ChannelHandlerContext) {
        guard times.sent < count else { return }
        times.sent += 1
        departures.append(.now)
        let message = ByteBuffer(repeating: 0x2E, count: Self.messageLength)
        context.writeAndFlush(wrapOutboundOut(message), promise: nil)
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: interval) { self.send(context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytes
        let now = Instant.now
        while received >= Self.messageLength, let departure = departures.popFirst() {
            received -= Self.messageLength
            times.roundTrips.append(now.since(departure))
            if let lastArrival { times.gaps.append(now.since(lastArrival)) }
            lastArrival = now
        }
        if times.roundTrips.count == count { finish(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { finish(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(context)
    }

    private func finish(_ context: ChannelHandlerContext) {
        timer?.cancel()
        self.context = nil
        promise.succeed(times)
        context.close(promise: nil)
    }
}
