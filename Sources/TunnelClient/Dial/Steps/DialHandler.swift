import Logging
import NIOCore
import NIOSSL
import NIOTLS
import ProxyConnect
import TunnelCore
import WebSocket

/// Performs the actions of ``DialSteps`` on one connection, and gives them the events of that connection.
///
/// It stays at the end of the pipeline until the connection is a WebSocket. TLS handlers are inserted before it.
final class DialHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The dial continues on another connection, to the same address.
    struct Redial: Error {
        let steps: DialSteps
        /// The end of the exchange with the proxy, which all of its connections share.
        let deadline: NIODeadline
    }

    private let route: DialRoute
    private let promise: EventLoopPromise<Void>
    private let onUpgraded: (any Channel, Agreement) throws -> Void
    private let exchangeDeadline: NIODeadline?
    private var steps: DialSteps
    /// The TLS handshake in progress.
    private var handshake: (TLSHandshake, TLSPeer)?
    private var timer: Scheduled<Void>?
    private var deadline = NIODeadline.distantFuture

    /// - Parameters:
    ///   - exchangeDeadline: the deadline of an exchange that began on an earlier connection.
    ///   - promise: succeeds when the carrier has taken over; fails with a ``DialError`` or a ``Redial``.
    ///   - onUpgraded: puts the carrier into the pipeline.
    init(
        route: DialRoute,
        steps: DialSteps,
        exchangeDeadline: NIODeadline? = nil,
        promise: EventLoopPromise<Void>,
        onUpgraded: @escaping (any Channel, Agreement) throws -> Void
    ) {
        self.route = route
        self.steps = steps
        self.exchangeDeadline = exchangeDeadline
        self.promise = promise
        self.onUpgraded = onUpgraded
    }

    // MARK: Events

    func channelActive(context: ChannelHandlerContext) {
        // Of several addresses, another one may have been connected at the same moment.
        guard route.rotation.connected(to: context.remoteAddress) else { return context.close(promise: nil) }
        route.hops.passed(.connected(address: context.remoteAddress?.inShort ?? ""))
        handle(context, .connected)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        handle(context, .received(unwrapInboundIn(data)))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            if let (handshake, peer) = handshake { route.completed(handshake, peer) }
            handshake = nil
            handle(context, .secured)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !steps.isFinished else { return context.fireErrorCaught(error) }
        guard !(error is IOError) else { return handle(context, .socketFailed) }
        let failure = TLSHandshakeFailure(error, handshake?.0.verification)
        handle(context, error is BoringSSLError ? .tlsBroke(failure) : .tlsFailed(failure))
    }

    func channelInactive(context: ChannelHandlerContext) {
        handle(context, .closed)
        context.fireChannelInactive()
    }

    private func handle(_ context: ChannelHandlerContext, _ event: DialEvent) {
        let actions = steps.handle(event)
        for action in actions { perform(context, action) }
    }

    // MARK: Actions

    private func perform(_ context: ChannelHandlerContext, _ action: DialAction) {
        switch action {
        case .startTimer(.hop):
            startTimer(context, until: context.eventLoop.now + route.hopTimeout)
        case .startTimer(.exchange):
            startTimer(context, until: exchangeDeadline ?? context.eventLoop.now + route.hopTimeout)
        case .send(let bytes):
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        case .passwordIsReadable:
            route.warnOfReadablePassword()
        case .startTLS(let peer, let early):
            startTLS(context, peer, early)
        case .fetchTicket(let input):
            fetchTicket(context, input)
        case .proxyEstablished(var passage):
            passage.ticketLifetime = route.tickets.lifetime
            route.hops.passed(.proxied(passage))
            route.established(with: passage.scheme)
        case .redial:
            finish(context, .failure(Redial(steps: steps, deadline: deadline)))
        case .upgraded(let agreement, let answer, let rest):
            route.hops.passed(.upgraded(answer))
            establish(context, agreement, rest)
        case .close:
            context.close(promise: nil)
        case .fail(let failure):
            if case .tls(_, let reason) = failure, let (handshake, peer) = handshake {
                route.failed(handshake, peer, reason)
            }
            finish(context, .failure(route.error(failure)))
        }
    }

    private func startTimer(_ context: ChannelHandlerContext, until deadline: NIODeadline) {
        timer?.cancel()
        self.deadline = deadline
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.handle(context, .timedOut)
        }
    }

    private func startTLS(_ context: ChannelHandlerContext, _ peer: TLSPeer, _ early: ByteBuffer) {
        do {
            let handshake = try route.handshake(with: peer)
            self.handshake = (handshake, peer)
            let handler = handshake.handler
            try context.pipeline.syncOperations.addHandler(handler, position: .before(self))
            // Bytes that arrived with the proxy's answer are the server's, and belong to TLS.
            guard early.readableBytes > 0 else { return }
            let tlsContext = try context.pipeline.syncOperations.context(handler: handler)
            handler.channelRead(context: tlsContext, data: NIOAny(early))
            handler.channelReadComplete(context: tlsContext)
        } catch {
            let configuration = peer == .server ? route.configuration.tls : route.configuration.proxyTLS
            handle(context, .tlsFailed(.unusable(TLSIdentity.problem(of: configuration))))
        }
    }

    private func fetchTicket(_ context: ChannelHandlerContext, _ input: [UInt8]?) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        route.tickets.token(after: input, on: context.eventLoop).whenSuccess { ticket in
            let (handler, context) = bound.value
            if case .failure(let failure) = ticket, !handler.steps.isFinished {
                handler.route.context.logger.debug(
                    "no ticket for the proxy",
                    metadata: ["reason": "\(failure.reason)"]
                )
            }
            handler.handle(context, .ticket(ticket))
        }
    }

    private func establish(_ context: ChannelHandlerContext, _ agreement: Agreement, _ rest: ByteBuffer) {
        do {
            try onUpgraded(context.channel, agreement)
        } catch {
            return finish(context, .failure(route.error(.upgrade(.local(error.userDescription)))))
        }
        timer?.cancel()
        if rest.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
        promise.succeed(())
    }

    private func finish(_ context: ChannelHandlerContext, _ result: Result<Void, any Error>) {
        timer?.cancel()
        promise.completeWith(result)
        context.close(promise: nil)
    }
}
