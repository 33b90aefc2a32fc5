import HTTP1
import HTTPRelay
import Logging
import NIOCore
import TunnelCore

/// A visitor's connection that speaks HTTP/1: its requests, one after the other, each to the service that its Host names.
///
/// It is read while the service takes content, and a little beyond, so that a visitor that goes is noticed.
/// `HTTPVisitorAnswers.swift` writes the answers.
final class HTTPVisitor: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Between requests, or in a head.
        case request
        case exchange(Exchange)
        /// Another protocol has the connection.
        case switched(Exchange)
        /// The last answer was sent. What comes is dropped until the visitor's FIN.
        case closing
    }

    /// Bytes behind the request that are read while its answer is awaited. 16 KiB: the next request of a visitor that does
    /// not wait. Reading also shows that the visitor goes.
    static let readAhead = 16_384
    /// Time for a visitor to take the last answer and to close.
    static let lingering = TimeAmount.seconds(5)

    /// Time without a byte for a visitor that has sent FIN behind its request. 30 s: most have gone, and nothing else shows
    /// it while the service is silent, as between server-sent events.
    static let halfClosed = Duration.seconds(30)

    let router: Router
    let channel: any Channel
    /// What is known of the visitor.
    var origin: VisitorOrigin
    let pool = StreamPool()
    private(set) var reader: RequestReader
    private var buffer = ByteBuffer()
    var phase = Phase.request
    private(set) var hasEnded = false
    private var isReading = false
    private var isProcessing = false
    private var isFirst = true
    private var deadline: NIODeadline?
    private var timer: Scheduled<Void>?
    var context: ChannelHandlerContext?

    // The answer in progress.
    var out = ByteBuffer()
    var writer = BodyWriter(.none)
    var method = ""
    var version = HTTPVersion.http1_1
    var accept: [String] = []
    var isPersistent = true
    /// Bytes of the stream that the socket may not have taken yet.
    var untaken = 0
    /// The exchange whose bytes those are.
    var taker: Exchange?
    /// Whether the answer is complete and waits for its flush.
    var isAnswered = false
    var record: RequestRecord?

    init(_ router: Router, _ channel: any Channel, _ origin: VisitorOrigin) {
        (self.router, self.channel, self.origin) = (router, channel, origin)
        reader = RequestReader(limits: router.limits.visitorHead)
    }

    // MARK: From the visitor

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        router.joined(self)
        limit(router.limits.visitorHeadTimeout)
        if context.channel.isActive { read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        router.left(self)
        timer?.cancel()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        read()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .closing = phase { return }
        var bytes = unwrapInboundIn(data)
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeBuffer(&bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        process()
        read()
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { inputEnded() }
        context.fireUserInboundEventTriggered(event)
    }

    private func inputEnded() {
        hasEnded = true
        switch phase {
        case .request, .closing: channel.close(promise: nil)
        case .switched(let exchange): exchange.finish()
        case .exchange(let exchange) where !exchange.isRequestComplete:
            exchange.cancel()
            finishRecord(status: 400)
            channel.close(promise: nil)
        case .exchange:
            isPersistent = false
            limit(Self.halfClosed)
        }
    }

    /// A visitor that has sent FIN gets bytes.
    func noteOutput() {
        if hasEnded, case .exchange = phase { limit(Self.halfClosed) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        router.noteFailure(error, of: origin)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch phase {
        case .exchange(let exchange):
            phase = .closing
            exchange.cancel()
            // The visitor has gone before the answer; nginx's number for it.
            finishRecord(status: 499)
        case .switched(let exchange):
            phase = .closing
            exchange.cancel()
            finishRecord()
        case .request, .closing: break
        }
        pool.close()
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { reportTaken() }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Reading

    /// Asks for bytes if they are wanted.
    func read() {
        guard !isReading, !hasEnded, let context else { return }
        let isWanted =
            switch phase {
            case .request, .closing: true
            case .switched(let exchange): exchange.hasRoom
            case .exchange(let exchange):
                exchange.isRequestComplete
                    ? buffer.readableBytes < Self.readAhead : exchange.hasRoom && buffer.readableBytes < Self.readAhead
            }
        guard isWanted else { return }
        isReading = true
        context.read()
    }

    /// Takes what was read, as far as it is wanted.
    func process() {
        // An answer that ends at once leads back here.
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        do throws(HTTP1Error) {
            while try step() {}
        } catch {
            refuse(error)
        }
    }

    /// - Returns: whether there may be more to do.
    private func step() throws(HTTP1Error) -> Bool {
        switch phase {
        case .closing:
            buffer = ByteBuffer()
            return false
        case .switched(let exchange):
            guard buffer.readableBytes > 0 else { return false }
            let bytes = buffer
            buffer = ByteBuffer()
            exchange.send(bytes)
            return false
        case .request:
            let hadBytes = buffer.readableBytes > 0
            guard case .head(let head, let framing)? = try reader.next(from: &buffer) else {
                if hadBytes { limit(router.limits.visitorHeadTimeout, isFirst: isFirst) }
                return false
            }
            isFirst = false
            limit(framing == .none ? nil : router.limits.visitorIdle)
            begin(head, framing)
            return true
        case .exchange(let exchange):
            guard !exchange.isRequestComplete, exchange.hasRoom else { return false }
            switch try reader.next(from: &buffer) {
            case .content(let bytes):
                limit(router.limits.visitorIdle)
                exchange.send(bytes)
            case .end(let trailers):
                limit(nil)
                exchange.finish(trailers)
            case .head, nil: return false
            }
            return true
        }
    }

    private func refuse(_ error: HTTP1Error) {
        switch phase {
        case .request:
            guard error.kind != .notHTTP else {
                router.refused("not an HTTP request", origin)
                return channel.close(promise: nil)
            }
            isPersistent = false
            begin(refused: error)
        case .exchange(let exchange):
            exchange.cancel()
            isPersistent = false
            answer(.refusal(status: error.status), reason: error.description)
        case .switched, .closing: break
        }
    }

    // MARK: Time

    /// Sets the time by which the visitor must have done the next thing.
    ///
    /// - Parameter isFirst: whether the time runs since the connection began, so that it is not extended.
    private func limit(_ time: Duration?, isFirst: Bool = false) {
        guard let time else {
            deadline = nil
            return
        }
        if isFirst, deadline != nil { return }
        let due = NIODeadline.now() + TimeAmount(time)
        deadline = due
        if timer == nil { wake(at: due) }
    }

    private func wake(at due: NIODeadline) {
        timer = channel.eventLoop.assumeIsolated().scheduleTask(deadline: due) { [weak self] in
            guard let self else { return }
            self.timer = nil
            guard let deadline = self.deadline else { return }
            guard NIODeadline.now() >= deadline else { return self.wake(at: deadline) }
            self.deadline = nil
            self.timeOut()
        }
    }

    private func timeOut() {
        switch phase {
        case .request where isFirst || !reader.isIdle:
            isPersistent = false
            begin(refused: HTTP1Error(.timeout))
        case .request, .closing:
            channel.close(promise: nil)
        case .exchange(let exchange) where !exchange.isRequestComplete && exchange.hasRoom:
            exchange.cancel()
            isPersistent = false
            answer(.requestTimeout, reason: "the request's body took too long")
        case .exchange(let exchange) where hasEnded && exchange.isRequestComplete:
            // The service has its own time to begin, and a slow reader is there.
            guard exchange.hasAnswer, untaken == 0 else { return limit(Self.halfClosed) }
            exchange.cancel()
            finishRecord(status: 499)
            channel.close(promise: nil)
        case .exchange, .switched: break
        }
    }

    /// The connection waits for its next request from now on, or closes.
    func nextRequest() {
        guard isPersistent, !hasEnded, !router.isStopping else { return close() }
        phase = .request
        limit(router.limits.visitorKeepAlive)
        process()
        read()
    }

    /// Closes in order: FIN goes first, since closing a socket that has unread bytes sends RST, which may destroy the answer.
    func close() {
        phase = .closing
        buffer = ByteBuffer()
        guard !hasEnded else { return channel.close(promise: nil) }
        context?.close(mode: .output, promise: nil)
        limit(Duration(Self.lingering))
        read()
    }

    /// Gives the connection to another handler.
    ///
    /// - Parameter take: gets the bytes behind the head.
    func handOver(_ take: (any Channel, ByteBuffer) throws -> Void) {
        phase = .closing
        deadline = nil
        let rest = buffer
        buffer = ByteBuffer()
        record = nil
        guard let context else { return }
        do {
            try take(channel, rest)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            channel.close(promise: nil)
        }
    }
}

extension HTTPVisitor: RoutedConnection {
    func drain() {
        if case .request = phase, reader.isIdle { channel.close(promise: nil) }
    }
}
