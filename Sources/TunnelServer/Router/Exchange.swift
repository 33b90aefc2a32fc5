import HTTP1
import HTTPRelay
import NIOCore
import TunnelCore

/// The visitor's side of an exchange: HTTP/1.1 on a connection, or one stream of HTTP/2.
protocol ExchangeVisitor: AnyObject {
    /// The version that the answer is framed for.
    var version: HTTPVersion { get }
    /// An informational answer.
    func exchange(_ exchange: Exchange, informs head: ResponseHead)
    /// The final answer begins.
    func exchange(_ exchange: Exchange, answers response: RelayedResponse)
    /// Content of the answer, without framing.
    func exchange(_ exchange: Exchange, sends content: ByteBuffer)
    /// The answer is complete.
    func exchange(_ exchange: Exchange, ends trailers: HeaderFields)
    /// The connection belongs to another protocol from now on.
    func exchange(_ exchange: Exchange, switches head: ResponseHead)
    /// The other protocol's side of the service has ended.
    func exchangeEndedOutput(_ exchange: Exchange)
    /// What was sent leaves now. ``Exchange/taken(_:)`` must follow once the socket has it.
    func exchangeFlushes(_ exchange: Exchange, _ count: Int)
    /// Content of the request is taken again.
    func exchangeHasRoom(_ exchange: Exchange)
    /// There is no answer from the service.
    func exchange(_ exchange: Exchange, fails page: StatusPage)
    /// The answer has begun and cannot be completed.
    func exchangeBreaks(_ exchange: Exchange)
}

/// One request and its answer, between a visitor and a stream to the service.
///
/// ```
///  request:  send content ──▶ finish            answer:  1xx* ──▶ head ──▶ content ──▶ end
///                 │                                        │        │
///                 └── the stream fails: a page, or once more on another stream if nothing has come
/// ```
final class Exchange {
    private enum Phase {
        case relaying
        /// Status 101 has come: bytes pass both ways.
        case switched
        case ended
    }

    let request: RelayedRequest
    let route: Route
    private var member: RouteMember
    private let pool: StreamPool
    private let routed: RoutedVisitor
    private let loop: any EventLoop
    private let answerTimeout: TimeAmount
    private weak var visitor: (any ExchangeVisitor)?
    private var phase = Phase.relaying
    private var stream: VisitorStream
    /// The serialized head of a request without a body, until an answer comes.
    private var repeatable: ByteBuffer?
    /// Whether the request may reach the service twice without harm.
    private let isIdempotent: Bool
    private var isReused = false
    private var hasChangedMember = false
    private let writer: BodyWriter
    private var reader: ResponseReader
    private var inbox = ByteBuffer()
    private(set) var isRequestComplete = false
    private var timer: Scheduled<Void>?

    /// Begins an exchange: takes a waiting stream of the connection, or opens one, and sends the head.
    ///
    /// - Throws: the refusal of a head that cannot be written.
    init(
        _ request: RelayedRequest,
        to member: RouteMember,
        of route: Route,
        _ pool: StreamPool,
        for routed: RoutedVisitor,
        answerTimeout: TimeAmount,
        visitor: any ExchangeVisitor,
        on loop: any EventLoop
    ) throws(RelayedRequest.Refusal) {
        (self.request, self.member, self.route, self.pool) = (request, member, route, pool)
        (self.routed, self.loop, self.answerTimeout, self.visitor) = (routed, loop, answerTimeout, visitor)
        var head = ByteBuffer()
        do throws(HTTP1Error) {
            try request.head.serialize(into: &head)
        } catch {
            throw RelayedRequest.Refusal(status: 400, reason: error.description)
        }
        writer = BodyWriter(request.framing)
        reader = ResponseReader(to: request.head.method, maySwitch: request.upgrade != nil)
        isIdempotent = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"].contains(request.head.method)
        if let waiting = pool.take(
            for: route,
            like: member,
            routed,
            mayRepeat: isIdempotent && request.framing == .none
        ) {
            stream = waiting
            self.member = waiting.member
            isReused = true
        } else {
            stream = VisitorStream.open(to: member, for: routed, on: loop)
        }
        if request.framing == .none { repeatable = head }
        stream.receiver = self
        stream.send(head)
    }

    // MARK: The request

    /// Whether the final answer has begun. Another answer must not follow it.
    var hasAnswer: Bool { reader.hasBegun }

    /// Whether nothing more comes of the exchange.
    var hasEnded: Bool {
        if case .ended = phase { true } else { false }
    }

    /// Whether content of the request is taken.
    var hasRoom: Bool { stream.hasRoom }

    /// Sends content of the request, or bytes of the other protocol.
    func send(_ content: ByteBuffer) {
        switch phase {
        // Behind the end of a request, the service would take content for the next one.
        case .relaying where !isRequestComplete: writer.write(content) { stream.send($0) }
        case .relaying: break
        case .switched: stream.send(content)
        case .ended: break
        }
    }

    /// The request is complete, or the visitor's side of the other protocol has ended.
    func finish(_ trailers: HeaderFields = HeaderFields()) {
        switch phase {
        case .relaying where isRequestComplete: break
        case .relaying:
            writer.end(trailers: request.trailers(trailers)) { stream.send($0) }
            isRequestComplete = true
            watchAnswer()
        case .switched: stream.finish()
        case .ended: break
        }
    }

    /// The visitor has taken bytes of the stream.
    func taken(_ count: Int) { stream.taken(count) }

    /// The visitor has gone, or its request is malformed.
    func cancel() {
        guard end() else { return }
        stream.reset()
    }

    /// The visitor has left the other protocol in order.
    func leave() {
        guard end() else { return }
        stream.leave()
    }

    private func watchAnswer() {
        guard !reader.hasBegun else { return }
        timer = loop.assumeIsolated().scheduleTask(in: answerTimeout) { [weak self] in
            guard let self, case .relaying = self.phase, !self.reader.hasBegun else { return }
            self.fail(.timeout)
        }
    }

    /// - Returns: false if the exchange has ended before.
    private func end() -> Bool {
        if case .ended = phase { return false }
        phase = .ended
        timer?.cancel()
        return true
    }

    // MARK: The answer

    private func read() {
        do throws(HTTP1Error) {
            while case .relaying = phase, let event = try reader.next(from: &inbox) { take(event) }
        } catch {
            fail(.badGateway)
        }
    }

    private func take(_ event: ResponseReader.Event) {
        guard let visitor else { return cancel() }
        switch event {
        case .informational(let head):
            if visitor.version >= .http1_1 {
                visitor.exchange(self, informs: RelayedResponse.informational(head))
            }
        case .head(let head, let framing):
            timer?.cancel()
            let response = RelayedResponse(head, framing, to: request.head.method, visitor.version)
            visitor.exchange(self, answers: response)
        case .content(let bytes):
            visitor.exchange(self, sends: bytes)
        case .end(let trailers):
            complete(trailers)
        case .switched(let head):
            timer?.cancel()
            phase = .switched
            visitor.exchange(self, switches: RelayedResponse.switching(head, to: request.upgrade ?? ""))
            passRest()
        }
    }

    private func passRest() {
        let rest = inbox
        inbox = ByteBuffer()
        if rest.readableBytes > 0 { visitor?.exchange(self, sends: rest) }
    }

    private func complete(_ trailers: HeaderFields) {
        let visitor = visitor
        guard end() else { return }
        if reader.isPersistent, isRequestComplete, inbox.readableBytes == 0, stream.isOpen {
            pool.keep(stream, of: route, for: routed)
        } else if isRequestComplete {
            stream.leave()
        } else {
            stream.reset()
        }
        visitor?.exchange(self, ends: RelayedResponse.trailers(trailers))
    }

    private func fail(_ page: StatusPage) {
        let hasBegun = reader.hasBegun
        guard end() else { return }
        stream.reset()
        if hasBegun { visitor?.exchangeBreaks(self) } else { visitor?.exchange(self, fails: page) }
    }

    /// Sends the request again, because a waiting stream had ended before the request reached the service.
    private func `repeat`() -> Bool {
        guard isReused, isIdempotent else { return false }
        isReused = false
        return resend(to: member)
    }

    /// Sends the request to another member of the group, because the service of this one has not taken the connection.
    private func changeMember() -> Bool {
        guard !hasChangedMember, let other = route.other(than: member, for: routed.address) else { return false }
        hasChangedMember = true
        return resend(to: other)
    }

    private func resend(to member: RouteMember) -> Bool {
        guard let head = repeatable, !reader.hasBegun, inbox.readableBytes == 0 else { return false }
        self.member = member
        // What the stream before still brings, such as a reset behind its END, is not this request's.
        stream.receiver = nil
        stream.reset()
        stream = VisitorStream.open(to: member, for: routed, on: loop)
        stream.receiver = self
        stream.send(head)
        return true
    }
}

extension Exchange: VisitorStreamReceiver {
    func stream(_ stream: VisitorStream, received bytes: [ByteBuffer]) {
        repeatable = nil
        var count = 0
        for part in bytes {
            count += part.readableBytes
            switch phase {
            case .relaying:
                // Without a rest, the reader takes slices of what came rather than copies.
                if inbox.readableBytes == 0 { inbox = part } else { inbox.writeImmutableBuffer(part) }
                read()
            case .switched: visitor?.exchange(self, sends: part)
            // Bytes behind the answer: the stream must not carry another request.
            case .ended: stream.reset()
            }
        }
        if let visitor { visitor.exchangeFlushes(self, count) } else { stream.taken(count) }
    }

    func streamEnded(_ stream: VisitorStream) {
        switch phase {
        case .relaying:
            if reader.hasBegun, reader.ended() {
                complete(HeaderFields())
                visitor?.exchangeFlushes(self, 0)
            } else if !`repeat`() {
                fail(.badGateway)
            }
        case .switched: visitor?.exchangeEndedOutput(self)
        case .ended: break
        }
    }

    func stream(_ stream: VisitorStream, failed failure: StreamFailure) {
        if case .relaying = phase {
            switch failure {
            case .reset(.refused), .reset(.unreachable), .reset(.goingAway), .unavailable:
                if changeMember() { return }
            case .reset, .refused: break
            }
            if case .reset = failure, `repeat`() { return }
        }
        switch phase {
        case .relaying: fail(StatusPage(failure))
        case .switched where end(): visitor?.exchangeBreaks(self)
        case .switched, .ended: break
        }
    }

    func streamHasRoom(_ stream: VisitorStream) { visitor?.exchangeHasRoom(self) }
}

extension StatusPage {
    /// The page for a stream that is gone before its answer.
    init(_ failure: StreamFailure) {
        switch failure {
        case .unavailable: self = .unavailable(retryAfter: 5)
        case .refused(.denied): self = .forbidden
        case .refused(.tooFast): self = .tooMany(retryAfter: 1)
        case .refused: self = .unavailable(retryAfter: 2)
        case .reset(.timeout): self = .timeout
        case .reset(.busy), .reset(.goingAway), .reset(.noSuchTunnel): self = .unavailable(retryAfter: 2)
        case .reset: self = .badGateway
        }
    }
}
