import HTTP1
import HTTPRelay
import NIOCore
import TunnelCore

/// The answers of a visitor's connection.
extension HTTPVisitor: ExchangeVisitor {
    /// Pieces up to this size leave in one buffer with their neighbours.
    private static let gathered = 4_096

    // MARK: The beginning of a request

    /// Decides about a request whose head has come.
    func begin(_ head: RequestHead, _ framing: BodyFraming) {
        (method, version) = (head.method, head.version)
        accept = head.fields.list("Accept")
        isPersistent = !router.isStopping && Self.isPersistent(head)
        record = RequestRecord(head, origin)
        switch router.decide(head, framing, origin, &record) {
        case .answer(let page, let reason):
            // The body is not read: its end would have to be found first. Behind an ambiguous head, the next request is none.
            if framing != .none || page.status == 400 { isPersistent = false }
            phase = .closing
            answer(page, reason: reason)
        case .relay(let request, let member, let route, let routed):
            relay(request, member, route, routed)
        case .endpoint:
            becomeEndpoint(head)
        case .backend(let backend, let request):
            isPersistent = false
            relay(head, to: backend, request)
        }
    }

    /// Answers a request whose head cannot be read.
    func begin(refused error: HTTP1Error) {
        (method, version, accept) = ("", .http1_1, [])
        record = RequestRecord(nil, origin)
        answer(.refusal(status: error.status), reason: error.description)
    }

    private func relay(_ request: RelayedRequest, _ member: RouteMember, _ route: Route, _ routed: RoutedVisitor) {
        do throws(RelayedRequest.Refusal) {
            let exchange = try Exchange(
                request,
                to: member,
                of: route,
                pool,
                for: routed,
                answerTimeout: TimeAmount(router.limits.visitorAnswer),
                visitor: self,
                on: channel.eventLoop
            )
            // A stream that was waiting may have failed at once, and the request is answered.
            if !exchange.hasEnded { phase = .exchange(exchange) }
        } catch {
            isPersistent = false
            answer(.refusal(status: error.status), reason: error.reason)
        }
    }

    private static func isPersistent(_ head: RequestHead) -> Bool {
        if head.fields.contains("Connection", token: "close") { return false }
        return head.version >= .http1_1 || head.fields.contains("Connection", token: "keep-alive")
    }

    // MARK: The answer of the service

    func exchange(_ exchange: Exchange, informs head: ResponseHead) {
        write(head)
    }

    func exchange(_ exchange: Exchange, answers response: RelayedResponse) {
        if response.endsConnection || hasEnded || router.isStopping { isPersistent = false }
        record?.status = response.head.status
        var head = response.head
        if !isPersistent {
            try? head.fields.append("Connection", "close")
        } else if version < .http1_1 {
            try? head.fields.append("Connection", "keep-alive")
        }
        writer = BodyWriter(response.framing)
        write(head)
    }

    func exchange(_ exchange: Exchange, sends content: ByteBuffer) {
        record?.bytes += content.readableBytes
        if case .switched = phase { return emit(content) }
        writer.write(content) { emit($0) }
    }

    func exchange(_ exchange: Exchange, ends trailers: HeaderFields) {
        writer.end(trailers: trailers) { emit($0) }
        if !exchange.isRequestComplete { isPersistent = false }
        finishRecord()
        // The flush comes first.
        phase = .closing
        isAnswered = true
    }

    func exchange(_ exchange: Exchange, switches head: ResponseHead) {
        record?.status = 101
        write(head)
        phase = .switched(exchange)
        process()
        read()
        if hasEnded { exchange.finish() }
    }

    func exchangeEndedOutput(_ exchange: Exchange) {
        finishRecord()
        flush()
        endOutput()
    }

    func exchangeFlushes(_ exchange: Exchange, _ count: Int) {
        // Credit for the answer before must not get lost.
        if taker !== exchange { reportTaken() }
        untaken += count
        taker = exchange
        flush()
        noteOutput()
        guard isAnswered else { return }
        isAnswered = false
        nextRequest()
    }

    func exchangeHasRoom(_ exchange: Exchange) { takeRoom(of: exchange) }

    func exchange(_ exchange: Exchange, fails page: StatusPage) {
        if !exchange.isRequestComplete { isPersistent = false }
        answer(page, reason: page.sentence)
    }

    func exchangeBreaks(_ exchange: Exchange) {
        phase = .closing
        flush()
        finishRecord()
        // A part of an answer must not look like a whole one.
        SocketOptions.resetOnClose(channel)
        channel.close(promise: nil)
    }

    // MARK: The relay's own answers

    /// Answers with a page.
    func answer(_ page: StatusPage, reason: String) {
        var (head, body) = page.answer(accept: accept)
        if !isPersistent {
            try? head.fields.append("Connection", "close")
        } else if version < .http1_1 {
            try? head.fields.append("Connection", "keep-alive")
        }
        record?.status = page.status
        record?.reason = reason
        write(head)
        if method != "HEAD" {
            record?.bytes += body.readableBytes
            emit(body)
        }
        finishRecord()
        flush()
        nextRequest()
    }

    // MARK: Writing

    private func write(_ head: ResponseHead) {
        do throws(HTTP1Error) {
            try head.serialize(into: &out)
        } catch {
            // Its parts were parsed, so serialization does not fail.
            channel.close(promise: nil)
        }
    }

    private func emit(_ bytes: ByteBuffer) {
        if bytes.readableBytes <= Self.gathered {
            out.writeImmutableBuffer(bytes)
        } else {
            passOn()
            written += bytes.readableBytes
            context?.write(wrapOutboundOut(bytes), promise: nil)
        }
    }

    private func passOn() {
        guard out.readableBytes > 0 else { return }
        written += out.readableBytes
        context?.write(wrapOutboundOut(out), promise: nil)
        out = ByteBuffer()
    }

    func flush() {
        passOn()
        context?.flush()
        if channel.isWritable { reportTaken() } else { watchOutput() }
    }

    /// The socket has taken what the stream has brought.
    func reportTaken() {
        guard untaken > 0, let taker else { return }
        taker.taken(untaken)
        untaken = 0
    }

    func finishRecord(status: Int? = nil) {
        guard var record else { return }
        self.record = nil
        if let status { record.status = status }
        router.log(record)
    }
}
