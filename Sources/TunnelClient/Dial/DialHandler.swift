import HTTP1
import Logging
import Mux
import NIOCore
import NIOSSL
import NIOTLS
import ProxyConnect
import TunnelAdmin
import TunnelCore
import WebSocket

/// One connection on its way from TCP to a WebSocket: TLS with the proxy, CONNECT or SOCKS through it, TLS with the
/// server, upgrade, each with its own time.
///
/// It stays at the end of the pipeline and takes bytes stage by stage; what comes together with the end of one stage
/// belongs to the next and is given to it, never dropped.
final class DialHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Interim answers before the one to the upgrade.
    private static let maximumInterim = ConnectExchange.interimLimit
    /// Bytes of an answer that are shown where it is no HTTP.
    private static let shownStart = ConnectExchange.startLimit

    /// The proxy has closed the connection between two legs of the exchange: dial it again and go on.
    struct Redial: Error {
        let exchange: ConnectExchange
        let request: ByteBuffer
        /// When the exchange's time is over, which all of its connections share.
        let deadline: NIODeadline
    }

    private enum Stage {
        case idle
        case proxyTLS(TLSHandshake)
        case connect(ConnectExchange)
        case socks(SocksExchange)
        case tls(TLSHandshake)
        case upgrade(ClientUpgrade, ResponseHeadParser, interim: Int)
        /// The answer was no 101; the beginning of its page is read for the message.
        case page(BodyDrain, DialError)
        case finished
    }

    private let route: DialRoute
    private let leg: DialLeg
    private let promise: EventLoopPromise<Void>
    private let onUpgraded: (any Channel, Agreement) throws -> Void
    private var stage = Stage.idle
    private var pending = ByteBuffer()
    /// How the server's answer begins, to be shown where it is no HTTP.
    private var answerStart: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var deadline = NIODeadline.distantFuture

    /// - Parameters:
    ///   - promise: done when the carrier stands; fails with a ``DialError`` or a ``Redial``.
    ///   - onUpgraded: puts the carrier into the pipeline.
    init(
        route: DialRoute,
        leg: DialLeg,
        promise: EventLoopPromise<Void>,
        onUpgraded: @escaping (any Channel, Agreement) throws -> Void
    ) {
        self.route = route
        self.leg = leg
        self.promise = promise
        self.onUpgraded = onUpgraded
    }

    // MARK: Stages

    func channelActive(context: ChannelHandlerContext) {
        // Of several addresses, another one may have been quicker in the very same moment.
        guard route.turn.connected(to: context.remoteAddress) else { return context.close(promise: nil) }
        guard let proxy = route.proxy, proxy.scheme == .https else { return startLeg(context) }
        startTLS(context, .proxy, route.context.proxyTLS, proxy.host) { .proxyTLS($0) }
    }

    private func startLeg(_ context: ChannelHandlerContext) {
        arm(context)
        switch leg {
        case .direct:
            startServerTLS(context)
        case .connect(var exchange):
            let action = exchange.start()
            stage = .connect(exchange)
            perform(context, action, exchange)
        case .connectAgain(let exchange, let request, let deadline):
            arm(context, until: deadline)
            stage = .connect(exchange)
            perform(context, .send(request), exchange)
        case .socks(var exchange):
            let action = exchange.start()
            stage = .socks(exchange)
            perform(context, action)
        }
    }

    private func perform(
        _ context: ChannelHandlerContext,
        _ action: ConnectExchange.Action,
        _ exchange: ConnectExchange
    ) {
        switch action {
        case .send(let bytes):
            if exchange.scheme == .basic { route.sendsPasswordReadably() }
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        case .established:
            route.established(with: exchange.scheme)
            startServerTLS(context)
        case .reconnectThenSend(let request):
            if exchange.scheme == .basic { route.sendsPasswordReadably() }
            finish(context, .failure(Redial(exchange: exchange, request: request, deadline: deadline)))
        case .fetchTicket(let input):
            let handler = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            route.tickets.token(after: input, on: context.eventLoop).whenSuccess { ticket in
                let (handler, context) = handler.value
                handler.receive(context, ticket)
            }
        case .fail(let error):
            fail(context, route.error(error))
        }
    }

    /// The token that the exchange has asked for, or none.
    private func receive(_ context: ChannelHandlerContext, _ ticket: Result<[UInt8], TicketFailure>) {
        guard case .connect(var exchange) = stage else { return }
        if case .failure(let failure) = ticket {
            route.context.logger.debug("no ticket for the proxy", metadata: ["reason": "\(failure.reason)"])
        }
        stage = .finished
        let action = exchange.ticket(ticket)
        stage = .connect(exchange)
        if let action { perform(context, action, exchange) }
    }

    private func perform(_ context: ChannelHandlerContext, _ action: SocksExchange.Action) {
        switch action {
        case .send(let bytes): context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        case .established: startServerTLS(context)
        case .fail(let error): fail(context, route.error(error))
        }
    }

    private func startServerTLS(_ context: ChannelHandlerContext) {
        guard route.endpoint.isSecure else { return startUpgrade(context) }
        startTLS(context, .server, route.context.tls, route.endpoint.host) { .tls($0) }
    }

    private func startTLS(
        _ context: ChannelHandlerContext,
        _ peer: TLSPeer,
        _ tls: TLSForClients,
        _ host: String,
        _ next: (TLSHandshake) -> Stage
    ) {
        arm(context)
        do {
            let hello = tls.hasSmallerHello ? route.context.hellos.size(at: route.place(peer)) : .full
            if hello == .trial { route.tellOfTrial(peer) }
            var handshake = try tls.handler(for: host, isSmall: hello.isSmall)
            handshake.hello = hello
            let handler = handshake.handler
            stage = next(handshake)
            let early = pending
            pending = ByteBuffer()
            try context.pipeline.syncOperations.addHandler(handler, position: .before(self))
            // Bytes that came with the proxy's answer are the server's, and belong to TLS.
            guard early.readableBytes > 0 else { return }
            let tlsContext = try context.pipeline.syncOperations.context(handler: handler)
            handler.channelRead(context: tlsContext, data: NIOAny(early))
            handler.channelReadComplete(context: tlsContext)
        } catch {
            fail(context, route.unusableTLS(error, peer))
        }
    }

    /// A handshake is done; what follows depends on whose it was.
    private func handshakeCompleted(_ context: ChannelHandlerContext) {
        switch stage {
        case .proxyTLS(let handshake):
            route.answered(handshake, .proxy)
            startLeg(context)
        case .tls(let handshake):
            route.answered(handshake, .server)
            startUpgrade(context)
        case .idle, .connect, .socks, .upgrade, .page, .finished:
            break
        }
    }

    private func startUpgrade(_ context: ChannelHandlerContext) {
        arm(context)
        do {
            let upgrade = try route.upgrade()
            stage = .upgrade(upgrade, ResponseHeadParser(), interim: 0)
            var bytes = ByteBuffer()
            try upgrade.request().serialize(into: &bytes)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            advance(context)
        } catch {
            fail(context, route.error(.upgrade, error.userDescription, "correct --header or the URL", .configuration))
        }
    }

    private func advance(_ context: ChannelHandlerContext) {
        switch stage {
        case .idle, .proxyTLS, .tls, .finished:
            break
        case .connect(var exchange):
            stage = .finished
            let action = exchange.receive(&pending)
            stage = .connect(exchange)
            if let action { perform(context, action, exchange) }
        case .socks(var exchange):
            stage = .finished
            let action = exchange.receive(&pending)
            stage = .socks(exchange)
            if let action { perform(context, action) }
        case .upgrade(let upgrade, var parser, var interim):
            answerStart += pending.readableBytesView.prefix(Self.shownStart - answerStart.count)
            do throws(HTTP1Error) {
                while let head = try parser.receive(&pending) {
                    guard ClientUpgrade.isInterim(head) else { return judge(context, head, upgrade) }
                    interim += 1
                    guard interim <= Self.maximumInterim else {
                        return fail(context, route.error(.upgrade, "endless interim answers", "", .notOursAtFirst))
                    }
                }
                stage = .upgrade(upgrade, parser, interim: interim)
            } catch {
                fail(context, route.notHTTP(error, start: answerStart))
            }
        case .page(var drain, let error):
            let isComplete = (try? drain.receive(&pending)) ?? true
            stage = .page(drain, error)
            if isComplete || drain.collected.readableBytes >= BodyDrain.collectedLimit { failWithPage(context) }
        }
    }

    private func judge(_ context: ChannelHandlerContext, _ head: ResponseHead, _ upgrade: ClientUpgrade) {
        do throws(UpgradeError) {
            let agreement = try upgrade.verify(head)
            guard agreement.subprotocol == subprotocolName else {
                let answer = "a WebSocket server answered that does not speak \(subprotocolName)"
                let remedy =
                    "check the URL; a front before culvert server must pass Sec-WebSocket-Protocol on, both ways"
                return fail(context, route.error(.upgrade, answer, remedy, .notOursAtFirst))
            }
            establish(context, agreement)
        } catch {
            let failure = route.refusedUpgrade(error, head)
            guard case .status = error, let drain = try? BodyDrain(response: head, limit: 2 * BodyDrain.collectedLimit)
            else { return fail(context, failure) }
            stage = .page(drain, failure)
            advance(context)
        }
    }

    private func establish(_ context: ChannelHandlerContext, _ agreement: Agreement) {
        stage = .finished
        timer?.cancel()
        do {
            try onUpgraded(context.channel, agreement)
            if pending.readableBytes > 0 {
                context.fireChannelRead(wrapInboundOut(pending))
                context.fireChannelReadComplete()
            }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
            promise.succeed(())
        } catch {
            fail(context, route.error(.upgrade, error.userDescription, "", .retry))
        }
    }

    // MARK: Failing

    private func fail(_ context: ChannelHandlerContext, _ error: DialError) {
        finish(context, .failure(error))
    }

    private func failWithPage(_ context: ChannelHandlerContext) {
        guard case .page(let drain, var error) = stage else { return }
        if let line = PageExcerpt.line(of: drain.collected.readableBytesView, hiding: route.secrets) {
            error.answer += ", page: \(line)"
            error = route.withRemedy(error, forPage: line)
        }
        fail(context, error)
    }

    private func finish(_ context: ChannelHandlerContext, _ result: Result<Void, any Error>) {
        stage = .finished
        timer?.cancel()
        promise.completeWith(result)
        context.close(promise: nil)
    }

    /// Gives the next hop its time.
    private func arm(_ context: ChannelHandlerContext, until end: NIODeadline? = nil) {
        timer?.cancel()
        deadline = end ?? context.eventLoop.now + route.hopTimeout
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.timeOut(context) }
    }

    private func timeOut(_ context: ChannelHandlerContext) {
        let seconds = route.hopSeconds
        switch stage {
        case .connect(var exchange):
            fail(context, route.error(exchange.deadline()))
        case .socks(var exchange):
            fail(context, route.error(exchange.deadline()))
        case .proxyTLS(let handshake):
            route.unanswered(handshake, .proxy)
            let remedy = "check the proxy's port: one that does not speak TLS is written with http://"
            fail(context, route.error(.proxyTLS, "no answer within \(seconds) s", remedy, .retry))
        case .tls(let handshake):
            route.unanswered(handshake, .server)
            fail(context, route.error(.tls, "no answer within \(seconds) s", "check that the port speaks TLS", .retry))
        case .upgrade:
            fail(context, route.error(.upgrade, "no answer within \(seconds) s", "check the URL", .retry))
        case .page:
            failWithPage(context)
        case .idle, .finished:
            break
        }
    }

    // MARK: The channel

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pending.writeImmutableBuffer(unwrapInboundIn(data))
        advance(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { handshakeCompleted(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch stage {
        case .proxyTLS(let handshake) where !(error is IOError):
            fail(context, route.tlsError(error, .proxy, handshake))
        case .tls(let handshake) where !(error is IOError):
            fail(context, route.tlsError(error, .server, handshake))
        case .connect where error is BoringSSLError, .socks where error is BoringSSLError:
            // With TLS 1.3 a certificate of ours is judged, or missed, after the handshake is done for us.
            fail(context, route.tlsError(error, .proxy, nil))
        case .upgrade where error is BoringSSLError:
            fail(context, route.tlsError(error, route.endpoint.isSecure ? .server : .proxy, nil))
        case .idle, .proxyTLS, .connect, .socks, .tls, .upgrade, .page:
            context.close(promise: nil)
        case .finished:
            context.fireErrorCaught(error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch stage {
        case .connect(var exchange):
            let action = exchange.connectionClosed()
            stage = .connect(exchange)
            // Nothing is to be done yet where a ticket is on its way.
            if let action { perform(context, action, exchange) }
        case .socks(var exchange):
            let action = exchange.connectionClosed()
            if let action { perform(context, action) }
        case .proxyTLS(let handshake):
            fail(context, route.closedDuringHandshake(.proxy, handshake))
        case .tls(let handshake):
            fail(context, route.closedDuringHandshake(.server, handshake))
        case .upgrade:
            let answer = "the connection was closed without an answer"
            fail(context, route.error(.upgrade, answer, route.afterConnect, .retry))
        case .page:
            failWithPage(context)
        case .idle, .finished:
            break
        }
        context.fireChannelInactive()
    }
}
