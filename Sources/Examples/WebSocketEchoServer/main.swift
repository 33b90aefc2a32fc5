// A WebSocket echo server on NIO, from the WebSocket library alone: swift run websocket-echo-server
import HTTP1
import NIOCore
import NIOPosix
import WebSocket

/// One connection: the opening handshake, then each message back to the peer.
final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let upgrade = ServerUpgrade(path: "/echo")
    private var head = RequestHeadParser()
    private var connection: Connection?
    private var message = ByteBuffer()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do {
            if connection == nil {
                guard let request = try head.receive(&bytes) else { return }
                try answer(request, hasLeftovers: bytes.readableBytes > 0, context)
            }
            connection?.receive(bytes)
            while let event = try connection?.nextEvent() { try take(event, context) }
        } catch {
            // If the peer broke a rule, the Close that says so is in the output.
        }
        sendOutput(context)
        if connection?.isOpen != true { context.close(mode: .output, promise: nil) }
    }

    private func answer(_ request: RequestHead, hasLeftovers: Bool, _ context: ChannelHandlerContext) throws {
        var out = ByteBuffer()
        switch upgrade.answer(request, hasLeftovers: hasLeftovers) {
        case .accept(let head, let agreement):
            try head.serialize(into: &out)
            connection = Connection(role: .server, deflate: agreement.deflate)
        case .refuse(let head, let body, reason: _):
            try head.serialize(into: &out)
            out.writeString(body)
        }
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
    }

    private func take(_ event: WebSocketEvent, _ context: ChannelHandlerContext) throws {
        guard case .message(let kind, let piece, _, let isLast) = event else { return }
        message.writeImmutableBuffer(piece)
        guard isLast else { return }
        var out = ByteBuffer()
        try connection?.encodeMessage(kind, payload: message, into: &out)
        context.write(wrapOutboundOut(out), promise: nil)
        message.clear()
    }

    /// Pongs and Close are the connection's own.
    private func sendOutput(_ context: ChannelHandlerContext) {
        if let out = connection?.takeOutput() { context.write(wrapOutboundOut(out), promise: nil) }
        context.flush()
    }
}

let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .childChannelOption(.allowRemoteHalfClosure, value: true)
    .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Echo()) }
    }
    .bind(host: "127.0.0.1", port: 9001)
    .get()
print("listening ws://127.0.0.1:9001/echo")
try await server.closeFuture.get()
