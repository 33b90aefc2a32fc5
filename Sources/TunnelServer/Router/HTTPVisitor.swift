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
        /// The cluster is asked for the server that has the request's name.
        case lookingUp
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
    var hasEnded = false
    /// Whether the socket has everything, and FIN was sent.
    private var isOutputClosed = false
    /// ``unwritten`` when that was last asked.
    var unwrittenBefore = Int.max
    private var isReading = false
    private var isProcessing = false
    var isFirst = true
    /// Whether the time of a head runs. That of the first one runs since the connection began.
    var isInHead = true
    var deadline: NIODeadline?
    var timer: Scheduled<Void>?
    var wakesAt = NIODeadline.distantFuture
    /// Ends an answer of which the visitor takes nothing.
    var outputTimer: Scheduled<Void>?
    var context: ChannelHandlerContext?

    /// Bytes of all answers.
    var written = 0
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
        outputTimer?.cancel()
        // The connection may go on with another handler.
        pool.close()
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
        case .request: close()
        case .lookingUp: break
        case .closing: if isOutputClosed { channel.close(promise: nil) }
        case .switched(let exchange):
            exchange.finish()
            if isOutputClosed { channel.close(promise: nil) }
        case .exchange(let exchange):
            isPersistent = false
            cutShort(exchange)
            guard case .exchange = phase, exchange.isRequestComplete else { return }
            exchange.endInput()
            limit(Self.halfClosed)
        }
    }

    /// A visitor that has sent FIN gets bytes.
    func noteOutput() {
        if hasEnded, case .exchange = phase { limit(Self.halfClosed) }
    }

    /// Ends a request whose rest does not come, because the visitor has ended its side.
    private func cutShort(_ exchange: Exchange) {
        // Without room, the rest may be here.
        guard hasEnded, !exchange.isRequestComplete, exchange.hasRoom, case .exchange = phase else { return }
        phase = .closing
        exchange.cancel()
        finishRecord(status: 400)
        channel.close(promise: nil)
    }

    /// The service takes content of the request again.
    func takeRoom(of exchange: Exchange) {
        process()
        if case .exchange(let current) = phase, current === exchange { cutShort(exchange) }
        read()
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
        case .request, .lookingUp, .closing: break
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
            case .lookingUp: false
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
            let event = try reader.next(from: &buffer)
            // The end of a request without a body that was answered at once.
            if case .end? = event { return true }
            guard case .head(let head, let framing)? = event else {
                // Further bytes of the head do not extend its time.
                if hadBytes, !isInHead {
                    isInHead = true
                    limit(router.limits.visitorHeadTimeout)
                }
                return false
            }
            (isFirst, isInHead) = (false, false)
            limit(framing == .none ? nil : router.limits.visitorIdle)
            return lookUp(head, framing)
        case .lookingUp:
            return false
        case .exchange(let exchange):
            guard !exchange.isRequestComplete, exchange.hasRoom else { return false }
            switch try reader.next(from: &buffer) {
            case .content(let bytes):
                limit(router.limits.visitorIdle)
                exchange.send(bytes)
            case .end(let trailers):
                limit(nil)
                exchange.finish(trailers)
                guard hasEnded else { return true }
                exchange.endInput()
                limit(Self.halfClosed)
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
        case .exchange(let exchange): giveUp(exchange, .refusal(status: error.status), reason: error.description)
        case .switched, .lookingUp, .closing: break
        }
    }

    /// Begins a request at this server, or hands the connection to the one that has its name.
    ///
    /// - Returns: whether there may be more to do.
    private func lookUp(_ head: RequestHead, _ framing: BodyFraming) -> Bool {
        guard let found = router.remoteHome(of: head, origin, on: channel.eventLoop) else {
            begin(head, framing)
            return true
        }
        phase = .lookingUp
        found.assumeIsolated().whenSuccess { home in
            guard case .lookingUp = self.phase, self.context != nil else { return }
            self.phase = .request
            switch home {
            case .elsewhere(let route): return self.handOver(head, to: route)
            case .nowhere: self.begin(head, framing)
            case .unknown:
                (self.method, self.version, self.isPersistent) = (head.method, head.version, false)
                self.answer(.unavailable(retryAfter: 2), reason: "the cluster's store does not answer")
            }
            self.process()
            self.read()
        }
        return false
    }

    /// Hands the connection to another server, with the request that was read.
    private func handOver(_ head: RequestHead, to home: Route) {
        let hasEnded = hasEnded
        let visitor = origin.of(head)
        handOver { channel, rest in
            let destination = try RelayedRequest.destination(of: head)
            var bytes = ByteBuffer()
            try RelayedRequest.handedOver(head, to: destination, from: visitor.request).serialize(into: &bytes)
            bytes.writeImmutableBuffer(rest)
            let raw = RawVisitor(of: home, visitor.routed, first: bytes, hasEnded: hasEnded)
            raw.farewell = head.method == "HEAD" ? Self.unreachable.head : Self.unreachable.whole
            try channel.pipeline.syncOperations.addHandler(raw)
        }
    }

    /// The answer to a request whose server is not reached.
    private static let unreachable: (head: ByteBuffer, whole: ByteBuffer) = {
        var bytes = ByteBuffer()
        let text = "the service is not reached now\n"
        let fields = [("Content-Type", "text/plain"), ("Content-Length", "\(text.utf8.count)"), ("Retry-After", "2")]
        let head = try? ResponseHead(status: 503, fields: HeaderFields(fields + [("Connection", "close")]))
        try? head?.serialize(into: &bytes)
        var whole = bytes
        whole.writeString(text)
        return (bytes, whole)
    }()

    // MARK: The end

    /// The connection waits for its next request from now on, or closes.
    func nextRequest() {
        guard isPersistent, !hasEnded, !router.isStopping else { return close() }
        phase = .request
        unwrittenBefore = .max
        limit(router.limits.visitorKeepAlive)
        process()
        read()
    }

    /// Closes in order: FIN goes first, since closing a socket that has unread bytes sends RST, which may destroy the answer.
    func close() {
        phase = .closing
        buffer = ByteBuffer()
        unwrittenBefore = .max
        endOutput()
        limit(Duration(Self.lingering))
        read()
    }

    /// Sends FIN behind everything, and closes the connection then if the visitor has ended its side. NIO drops what is
    /// unwritten when both directions are closed.
    func endOutput() {
        guard let context else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.isOutputClosed = true
            guard !self.hasEnded else { return self.channel.close(promise: nil) }
            self.context?.close(mode: .output, promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }

    /// Bytes that the socket has not taken.
    var unwritten: Int { (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }

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
    func shed() { drain() }

    func drain() {
        guard case .request = phase else { return }
        guard reader.isIdle else { return limit(Duration(Self.lingering)) }
        if unwritten == 0 { channel.close(promise: nil) } else { close() }
    }
}
