import ClientHello
import HTTPRelay
import NIOCore
import TunnelCore

/// Reads a visitor's ClientHello, and replaces itself by what the name in it asks for.
///
/// The bytes are kept and go on unchanged: to the TLS that terminates them, or to the service.
final class ClientHelloHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Time for the whole ClientHello. It is one packet or two.
    static let timeout = TimeAmount.seconds(5)

    private let router: Router
    private let origin: VisitorOrigin
    private var reader = ClientHelloReader()
    private var bytes = ByteBuffer()
    private var isDone = false
    private var timer: Scheduled<Void>?

    init(_ router: Router, _ origin: VisitorOrigin) {
        (self.router, self.origin) = (router, origin)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.timeout) {
            if !self.isDone { self.router.refused("its ClientHello took too long", self.origin) }
            context.close(promise: nil)
        }
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return context.read() }
        let news = unwrapInboundIn(data)
        bytes.writeImmutableBuffer(news)
        do throws(ClientHelloError) {
            guard let hello = try reader.receive(news.readableBytesView) else { return context.read() }
            isDone = true
            resolve(context, hello)
        } catch {
            isDone = true
            router.refused(error.description, origin)
            refuse(context, error.answer)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Asks the cluster for a name that this server does not have.
    private func resolve(_ context: ChannelHandlerContext, _ hello: ClientHello) {
        var origin = origin
        origin.serverName = hello.serverName.flatMap { PublicName($0) }
        guard let name = origin.serverName,
            let found = router.remoteHome(of: name, origin, isSecure: true, on: context.eventLoop)
        else { return take(context, hello, origin, nil) }
        found.assumeIsolated().whenSuccess { home in
            guard context.channel.isActive else { return }
            if case .unknown = home {
                self.router.refused("the cluster's store does not answer", origin)
                return context.close(promise: nil)
            }
            self.take(context, hello, origin, home.route)
        }
    }

    /// - Parameter home: the way to another server that has the name; nil for this one.
    private func take(
        _ context: ChannelHandlerContext,
        _ hello: ClientHello,
        _ origin: VisitorOrigin,
        _ home: Route?
    ) {
        var origin = origin
        let pipeline = context.pipeline.syncOperations
        do {
            if let home {
                try pipeline.addHandler(RawVisitor(of: home, origin.routed), position: .after(self))
                return passOn(context)
            }
            switch router.decide(hello, &origin) {
            case .alert(let alert, let reason):
                router.refused(reason, origin)
                return refuse(context, alert)
            case .pass(let member):
                try pipeline.addHandler(RawVisitor(to: member, origin.routed), position: .after(self))
            case .terminate(let tls):
                let visitor = TLSVisitor(router, context.channel, origin)
                try pipeline.addHandlers([tls.handshake().handler, visitor], position: .after(self))
            }
        } catch {
            return context.close(promise: nil)
        }
        passOn(context)
    }

    /// Gives what was read to the handlers that follow.
    private func passOn(_ context: ChannelHandlerContext) {
        timer?.cancel()
        // The connection is active already, which the new handlers have seen when they were added.
        context.fireChannelRead(wrapInboundOut(bytes))
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// Sends an alert and FIN, and drops what comes until the visitor's FIN: a close with unread bytes sends RST, which may
    /// destroy the alert.
    private func refuse(_ context: ChannelHandlerContext, _ alert: TLSAlert?) {
        guard let alert else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(alert.record), promise: nil)
        context.close(mode: .output, promise: nil)
        context.read()
    }
}
