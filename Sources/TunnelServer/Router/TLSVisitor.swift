import ACME
import NIOCore
import NIOTLS
import TunnelCore

/// Waits for the end of a visitor's TLS handshake, and then serves the protocol that both ends have chosen.
final class TLSVisitor: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let router: Router
    private let channel: any Channel
    private let origin: VisitorOrigin
    private var timer: Scheduled<Void>?

    init(_ router: Router, _ channel: any Channel, _ origin: VisitorOrigin) {
        (self.router, self.channel, self.origin) = (router, channel, origin)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(router.limits.visitorHeadTimeout)) {
            context.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // The handshake goes on.
        context.read()
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
            serve(context, negotiated)
        } else if case .inputClosed? = event as? ChannelEvent {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func serve(_ context: ChannelHandlerContext, _ negotiated: String?) {
        // The CA has seen the certificate.
        guard negotiated != ChallengeCertificate.applicationProtocol else { return context.close(promise: nil) }
        do {
            guard negotiated != "h2" else {
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
                return try HTTP2Connection(router, channel, origin).install()
            }
            try context.pipeline.syncOperations.addHandler(HTTPVisitor(router, channel, origin), position: .after(self))
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        router.noteFailure(error, of: origin)
        context.close(promise: nil)
    }
}
