import NIOCore
import NetworkAddress
import ProxyConnect
import TunnelCore

/// Reads a program's SOCKS request, and gives the connection to the stream that it asks for.
final class SocksHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Time from the connection to its complete request. 10 s: a program sends it at once.
    static let timeout = TimeAmount.seconds(10)

    private var exchange = SocksServerExchange()
    private var buffer = ByteBuffer()
    private var deadline: Scheduled<Void>?
    private let onRequest: (any Channel, HostPort, @escaping (StreamPipe.StreamAnswer) -> ByteBuffer?) throws -> Void
    private let onAssociation: (any Channel) -> EventLoopFuture<SocksAssociation.Relay>
    private let onFailure: (SocksServerExchange.Failure) -> Void

    /// - Parameters:
    ///   - onRequest: adds the stream's pipe to the channel, with the answer to the program.
    ///   - onAssociation: binds the relay for the program's datagrams.
    ///   - onFailure: called if there is no request.
    init(
        onRequest:
            @escaping (
                any Channel, HostPort, @escaping (StreamPipe.StreamAnswer) -> ByteBuffer?
            ) throws -> Void,
        onAssociation: @escaping (any Channel) -> EventLoopFuture<SocksAssociation.Relay>,
        onFailure: @escaping (SocksServerExchange.Failure) -> Void
    ) {
        self.onRequest = onRequest
        self.onAssociation = onAssociation
        self.onFailure = onFailure
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.timeout) { context.close(promise: nil) }
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !exchange.isFinished else { return }
        buffer.writeImmutableBuffer(unwrapInboundIn(data))
        while let action = exchange.receive(&buffer) {
            switch action {
            case .send(let bytes):
                context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            case .perform(.connect(let target)):
                return perform(context, target)
            case .perform(.associate):
                return associate(context)
            case .fail(let bytes, let failure):
                onFailure(failure)
                return refuse(context, bytes)
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func perform(_ context: ChannelHandlerContext, _ target: HostPort) {
        deadline?.cancel()
        let rest = buffer
        let exchange = exchange
        do {
            try onRequest(context.channel, target) { answer in
                var exchange = exchange
                return exchange.answer(SocksReply(answer))
            }
        } catch {
            return context.close(promise: nil)
        }
        // The pipe stands behind this handler, and gets what came with the request.
        if rest.readableBytes > 0 { context.fireChannelRead(NIOAny(rest)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// Binds the relay of datagrams, and reports its place to the program. Bytes that follow have no meaning.
    private func associate(_ context: ChannelHandlerContext) {
        buffer.clear()
        onAssociation(context.channel).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let relay):
                self.deadline?.cancel()
                // Nothing more is sent here: the association has no end that could look incomplete.
                SocketOptions.endOnClose(context.channel)
                let reply = self.exchange.answer(.succeeded, from: (relay.address, relay.port))
                context.writeAndFlush(self.wrapOutboundOut(reply), promise: nil)
            case .failure:
                self.refuse(context, self.exchange.answer(.generalFailure))
            }
        }
    }

    /// Sends the last bytes. A socket that is closed with unread bytes sends RST, which may destroy them, so the program
    /// closes first, or the deadline passes.
    private func refuse(_ context: ChannelHandlerContext, _ bytes: ByteBuffer) {
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        SocketOptions.finishOutput(context)
        buffer.clear()
    }
}

extension SocksReply {
    /// The reply to the program for the peer's answer to the stream.
    init(_ answer: StreamPipe.StreamAnswer) {
        switch answer {
        case .accepted: self = .succeeded
        case .refused(.notAllowed): self = .notAllowed
        case .refused(.refused): self = .connectionRefused
        case .refused(.unreachable): self = .hostUnreachable
        // SOCKS has no code for silence; proxies use this one, and programs show "TTL expired".
        case .refused(.timeout): self = .timeToLiveExpired
        case .refused: self = .generalFailure
        }
    }
}
