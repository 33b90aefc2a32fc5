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

/// Bytes that have gone one way at a time.
struct RateSample: Sendable, Equatable {
    let bytes: Int
    let time: Duration
}

/// The near end of a `sink` probe: sends as much as the path takes, and reads how much has arrived.
final class UploadMeter: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let time: TimeAmount
    private let promise: EventLoopPromise<[RateSample]>
    private let chunk = ByteBuffer(bytes: SecureRandom.bytes(65_536))
    private var samples: [RateSample] = []
    private var line = ""
    private var isFinished = false

    init(for time: Duration, _ promise: EventLoopPromise<[RateSample]>) {
        self.time = TimeAmount(time)
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.finish(context) }
        send(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        send(context)
    }

    private func send(_ context: ChannelHandlerContext) {
        while !isFinished, context.channel.isActive, context.channel.isWritable {
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
                samples.append(RateSample(bytes: numbers[0], time: .microseconds(numbers[1])))
            }
            line = ""
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(context)
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard !isFinished else { return }
        isFinished = true
        promise.succeed(samples)
        // The rest of what waits need not arrive.
        SocketOptions.resetOnClose(context.channel)
        context.close(promise: nil)
    }
}

/// The near end of a `source` probe: counts what arrives.
final class DownloadMeter: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer

    /// The time between two samples.
    static let period = Duration.milliseconds(100)

    private let time: TimeAmount
    private let promise: EventLoopPromise<[RateSample]>
    private var samples: [RateSample] = []
    private var begin = Instant.now
    private var bytes = 0
    private var isFinished = false

    init(for time: Duration, _ promise: EventLoopPromise<[RateSample]>) {
        self.time = TimeAmount(time)
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        begin = .now
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.finish(context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytes
        let time = Instant.now.since(begin)
        if time >= (samples.last?.time ?? .zero) + Self.period { samples.append(RateSample(bytes: bytes, time: time)) }
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
        guard !isFinished else { return }
        isFinished = true
        promise.succeed(samples)
        SocketOptions.resetOnClose(context.channel)
        context.close(promise: nil)
    }
}

/// The near end of a probe that answers with a text.
final class TextMeter: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<String>
    private var bytes: [UInt8] = []

    init(_ promise: EventLoopPromise<String>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let room = ServerFacts.longestText - bytes.count
        bytes += unwrapInboundIn(data).readableBytesView.prefix(room)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.succeed(String(decoding: bytes, as: UTF8.self))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
