import ByteText
import HTTP1
import HTTPRelay
import NIOCore
import NIOHPACK
import NIOHTTP2
import TunnelCore

/// One request of a visitor that speaks HTTP/2. The service gets it as HTTP/1.1.
final class HTTP2Visitor: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private enum Phase {
        case head
        case exchange(Exchange)
        /// RFC 8441: the stream carries WebSocket frames.
        case switched(Exchange)
        case done
    }

    private let connection: HTTP2Connection
    private let channel: any Channel
    private var context: ChannelHandlerContext?
    private var phase = Phase.head
    private var method = ""
    private var accept: [String] = []
    private var isReading = false
    /// Whether the visitor has ended its side of the stream.
    private var isRequestComplete = false
    private var waiting: [HTTP2Frame.FramePayload] = []
    private var taker: Exchange?
    private var untaken = 0
    private var record: RequestRecord?
    private var timer: Scheduled<Void>?

    init(_ connection: HTTP2Connection, _ channel: any Channel) {
        (self.connection, self.channel) = (connection, channel)
    }

    private var router: Router { connection.router }

    // MARK: From the visitor

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.opened(channel)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        gone()
        self.context = nil
        timer?.cancel()
        connection.closed()
    }

    func channelActive(context: ChannelHandlerContext) {
        read()
        context.fireChannelActive()
    }

    private func read() {
        // Frames that wait are taken first; otherwise the visitor would get room for ever more of them.
        guard !isReading, waiting.isEmpty, let context else { return }
        if case .exchange(let exchange) = phase, !exchange.hasRoom, !exchange.isRequestComplete { return }
        if case .switched(let exchange) = phase, !exchange.hasRoom { return }
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        if frame.endsStream { isRequestComplete = true }
        waiting.append(frame)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        process()
        read()
        context.fireChannelReadComplete()
    }

    private func process() {
        while let frame = waiting.first {
            switch phase {
            // What follows a request for a WebSocket belongs to it. A service that refuses it would take a request for it.
            case .exchange(let exchange): guard exchange.hasRoom, !exchange.isRequestComplete else { return }
            case .switched(let exchange): guard exchange.hasRoom else { return }
            case .head, .done: break
            }
            waiting.removeFirst()
            take(frame)
        }
    }

    private func take(_ frame: HTTP2Frame.FramePayload) {
        switch (frame, phase) {
        case (.headers(let headers), .head):
            begin(headers.headers, hasBody: !headers.endStream)
            if headers.endStream, case .exchange(let exchange) = phase { exchange.finish() }
        case (.headers(let headers), .exchange(let exchange)):
            limit(nil)
            exchange.finish(Self.trailers(headers.headers))
        case (.data(let data), .exchange(let exchange)), (.data(let data), .switched(let exchange)):
            if case .byteBuffer(let bytes) = data.data, bytes.readableBytes > 0 { exchange.send(bytes) }
            if case .exchange = phase { limit(data.endStream ? nil : router.limits.visitorIdle) }
            if data.endStream { exchange.finish() }
        default: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let end = event as? StreamClosedEvent { gone(end.reason) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        gone()
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        gone()
        timer?.cancel()
        // The stream to the service may wait for another request, which needs its credit.
        reportTaken()
        context.fireChannelInactive()
    }

    private func gone(_ code: HTTP2ErrorCode? = nil) {
        switch phase {
        case .exchange(let exchange):
            phase = .done
            exchange.cancel()
            // nginx's number for a visitor that has gone before the answer.
            finishRecord(status: 499)
        case .switched(let exchange):
            phase = .done
            // Chromium cancels the stream of a WebSocket that has ended in order.
            if code == .cancel || code == .noError { exchange.leave() } else { exchange.cancel() }
            finishRecord()
        case .head, .done: break
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { reportTaken() }
        context.fireChannelWritabilityChanged()
    }

    /// Sets the time by which more of the request's body must have come.
    private func limit(_ time: Duration?) {
        timer?.cancel()
        timer = nil
        guard let time else { return }
        timer = channel.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) { [weak self] in
            guard let self, case .exchange(let exchange) = self.phase, !exchange.isRequestComplete else { return }
            // The service does not take content. The visitor's time begins anew.
            guard exchange.hasRoom else { return self.limit(time) }
            let hasAnswer = exchange.hasAnswer
            exchange.cancel()
            guard !hasAnswer else { return self.exchangeBreaks(exchange) }
            self.answer(.requestTimeout, reason: "the request's body took too long")
        }
    }

    // MARK: The request

    private func begin(_ headers: HPACKHeaders, hasBody: Bool) {
        do throws(HTTP1Error) {
            let (head, framing) = try Self.request(headers, hasBody: hasBody)
            (method, accept) = (head.method, head.fields.list("Accept"))
            record = RequestRecord(head, connection.origin)
            decide(head, framing)
            if case .exchange = phase, hasBody { limit(router.limits.visitorIdle) }
        } catch {
            record = RequestRecord(nil, connection.origin)
            answer(.refusal(status: error.status), reason: error.description)
        }
    }

    private func decide(_ head: RequestHead, _ framing: BodyFraming) {
        switch router.decide(head, framing, connection.origin, &record) {
        case .answer(let page, let reason):
            answer(page, reason: reason)
        case .endpoint, .backend:
            // Names without a public service are offered HTTP/1.1 alone.
            answer(.misdirected, reason: "the name is not served over HTTP/2")
        case .relay(let request, let member, let route, let routed):
            do throws(RelayedRequest.Refusal) {
                let exchange = try Exchange(
                    request,
                    to: member,
                    of: route,
                    connection.pool,
                    for: routed,
                    answerTimeout: TimeAmount(router.limits.visitorAnswer),
                    visitor: self,
                    on: channel.eventLoop
                )
                // A stream that was waiting may have failed at once, and the request is answered.
                if !exchange.hasEnded { phase = .exchange(exchange) }
                // RFC 8441: the request for a WebSocket has no body, and its stream stays open.
                if request.upgrade != nil { exchange.finish() }
            } catch {
                answer(.refusal(status: error.status), reason: error.reason)
            }
        }
    }

    /// The request in the form of HTTP/1.1 (RFC 9113 section 8.3.1). An extended CONNECT for a WebSocket becomes an upgrade
    /// (RFC 8441 section 5).
    private static func request(
        _ headers: HPACKHeaders,
        hasBody: Bool
    ) throws(HTTP1Error) -> (RequestHead, BodyFraming) {
        var method = headers.first(name: ":method") ?? ""
        var fields = HeaderFields()
        let authority = headers.first(name: ":authority")
        if let authority { try fields.append("Host", authority) }
        var isWebSocket = false
        if let name = headers.first(name: ":protocol") {
            guard method == "CONNECT", name == "websocket" else { throw HTTP1Error(.methodNotAllowed) }
            (method, isWebSocket) = ("GET", true)
        }
        var cookies: [String] = []
        for (name, value, _) in headers where !name.hasPrefix(":") {
            switch name {
            case "host":
                guard let authority else {
                    try fields.append("Host", value)
                    continue
                }
                guard authority.lowercased() == value.lowercased() else { throw HTTP1Error(.hostMismatch) }
            // RFC 9113 section 8.2.3.
            case "cookie": cookies.append(value)
            default: try fields.append(name, value)
            }
        }
        if !cookies.isEmpty { try fields.append("Cookie", cookies.joined(separator: "; ")) }
        if isWebSocket {
            try fields.append("Connection", "Upgrade")
            try fields.append("Upgrade", "websocket")
            if fields.first("Sec-WebSocket-Key") == nil {
                try fields.append("Sec-WebSocket-Key", Base64.encoded(SecureRandom.bytes(16)))
            }
        }
        let target = headers.first(name: ":path") ?? ""
        // The relay writes HTTP/1.1, in which a target has no bytes beyond ASCII.
        let head = RequestHead(
            method: method,
            target: target,
            version: HTTPVersion(major: 2, minor: 0),
            fields: fields
        )
        guard hasBody, !isWebSocket else { return (head, .none) }
        let length = try BodyFraming(of: head)
        return (head, length == .none ? .chunked : length)
    }

    private static func trailers(_ headers: HPACKHeaders) -> HeaderFields {
        var fields = HeaderFields()
        for (name, value, _) in headers where !name.hasPrefix(":") { try? fields.append(name, value) }
        return fields
    }

    // MARK: Writing

    private func write(_ status: Int, _ fields: HeaderFields, isLast: Bool = false) {
        var headers = HPACKHeaders([(":status", "\(status)")])
        for (name, value) in fields { headers.add(name: name.lowercased(), value: value) }
        context?.write(
            wrapOutboundOut(.headers(.init(headers: headers, endStream: isLast))),
            promise: isLast ? endOfUnwanted : nil
        )
    }

    private func write(_ content: ByteBuffer, isLast: Bool = false) {
        let frame = HTTP2Frame.FramePayload.data(.init(data: .byteBuffer(content), endStream: isLast))
        context?.write(wrapOutboundOut(frame), promise: isLast ? endOfUnwanted : nil)
    }

    /// A promise for the answer's end that resets the stream, if the rest of the request is not wanted (RFC 9113
    /// section 8.1). A reset at once would overtake content that waits for the visitor's window.
    private var endOfUnwanted: EventLoopPromise<Void>? {
        if case .switched = phase { return nil }
        guard !isRequestComplete else { return nil }
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess {
            if !self.isRequestComplete { self.reset(.noError) }
        }
        return promise
    }

    private func answer(_ page: StatusPage, reason: String) {
        phase = .done
        let (head, body) = page.answer(accept: accept)
        record?.status = page.status
        record?.reason = reason
        write(head.status, head.fields, isLast: method == "HEAD")
        if method != "HEAD" {
            record?.bytes += body.readableBytes
            write(body, isLast: true)
        }
        context?.flush()
        finishRecord()
        dropRest()
    }

    /// Takes what the visitor still sends, so that its end is noticed.
    private func dropRest() {
        process()
        read()
    }

    private func reset(_ code: HTTP2ErrorCode) {
        context?.writeAndFlush(wrapOutboundOut(.rstStream(code)), promise: nil)
    }

    private func reportTaken() {
        guard untaken > 0 else { return }
        taker?.taken(untaken)
        untaken = 0
    }

    private func finishRecord(status: Int? = nil) {
        guard var record else { return }
        self.record = nil
        if let status { record.status = status }
        router.log(record)
    }
}

extension HTTP2Visitor: ExchangeVisitor {
    var version: HTTPVersion { HTTPVersion(major: 2, minor: 0) }

    func exchange(_ exchange: Exchange, informs head: ResponseHead) {
        write(head.status, head.fields)
    }

    func exchange(_ exchange: Exchange, answers response: RelayedResponse) {
        record?.status = response.head.status
        write(response.head.status, response.head.fields)
    }

    func exchange(_ exchange: Exchange, sends content: ByteBuffer) {
        record?.bytes += content.readableBytes
        write(content)
    }

    func exchange(_ exchange: Exchange, ends trailers: HeaderFields) {
        phase = .done
        if trailers.count > 0 {
            var headers = HPACKHeaders()
            for (name, value) in trailers { headers.add(name: name.lowercased(), value: value) }
            context?.write(
                wrapOutboundOut(.headers(.init(headers: headers, endStream: true))),
                promise: endOfUnwanted
            )
        } else {
            write(ByteBuffer(), isLast: true)
        }
        finishRecord()
        dropRest()
    }

    func exchange(_ exchange: Exchange, switches head: ResponseHead) {
        var fields = HeaderFields()
        for (name, value) in head.fields
        where !["connection", "upgrade", "sec-websocket-accept"].contains(name.lowercased()) {
            try? fields.append(name, value)
        }
        record?.status = 200
        write(200, fields)
        phase = .switched(exchange)
        process()
        read()
    }

    func exchangeEndedOutput(_ exchange: Exchange) {
        write(ByteBuffer(), isLast: true)
        context?.flush()
        finishRecord()
    }

    func exchangeFlushes(_ exchange: Exchange, _ count: Int) {
        untaken += count
        taker = exchange
        context?.flush()
        if channel.isWritable { reportTaken() }
    }

    func exchangeHasRoom(_ exchange: Exchange) {
        process()
        read()
    }

    func exchange(_ exchange: Exchange, fails page: StatusPage) {
        answer(page, reason: page.sentence)
    }

    func exchangeBreaks(_ exchange: Exchange) {
        phase = .done
        finishRecord()
        reset(.internalError)
    }
}

extension HTTP2Frame.FramePayload {
    /// Whether the frame is the last of its direction.
    fileprivate var endsStream: Bool {
        switch self {
        case .headers(let headers): headers.endStream
        case .data(let data): data.endStream
        default: false
        }
    }
}
