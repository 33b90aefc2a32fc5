import HTTP1
import NIOCore
import WebSocket

/// One connection of either role. After the handshake it echoes each message in one frame.
///
/// `done` gets the last message when the connection has ended, or the error of the handshake. Later errors of the peer
/// are answered as the module does and are not failures here, because the suite provokes them.
final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The role of this end, with its handshake.
    enum Opening {
        case client(ClientUpgrade)
        case server(ServerUpgrade)
    }

    /// The state of the handler; the state of frames is in `connection`.
    private enum Phase {
        case request(RequestHeadParser, ServerUpgrade)
        case response(ResponseHeadParser, ClientUpgrade)
        case frames
        /// Close has gone both ways, or the peer has failed, and the TCP connection is about to end.
        case closing
        /// Nothing is read any more.
        case over
    }

    /// The time for the peer to close the TCP connection after Close.
    private static let patience = TimeAmount.seconds(2)

    private let opening: Opening
    private let echoes: Bool
    private let done: EventLoopPromise<ByteBuffer>
    private var phase: Phase
    private var connection: Connection?
    private var message = ByteBuffer()

    init(opening: Opening, echoes: Bool, done: EventLoopPromise<ByteBuffer>) {
        self.opening = opening
        self.echoes = echoes
        self.done = done
        switch opening {
        case .client(let upgrade): phase = .response(ResponseHeadParser(), upgrade)
        case .server(let upgrade): phase = .request(RequestHeadParser(), upgrade)
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        guard case .client(let upgrade) = opening else { return }
        do {
            var out = ByteBuffer()
            try upgrade.request().serialize(into: &out)
            context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        } catch {
            fail(error, context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do {
            switch phase {
            case .request(var parser, let upgrade):
                let head = try parser.receive(&bytes)
                phase = .request(parser, upgrade)
                if let head { answer(head, upgrade, hasLeftovers: bytes.readableBytes > 0, context) }
            case .response(var parser, let upgrade):
                let head = try parser.receive(&bytes)
                phase = .response(parser, upgrade)
                guard let head else { return }
                begin(.client, try upgrade.verify(head))
                receiveFrames(bytes, context)
            case .frames:
                receiveFrames(bytes, context)
            case .closing, .over:
                break
            }
        } catch {
            fail(error, context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch phase {
        case .frames, .closing: done.succeed(message)
        case .request, .response, .over: done.fail(ChannelError.eof)
        }
        phase = .over
        connection = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Stops reading from a peer that does not read.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        _ = context.channel.setOption(.autoRead, value: context.channel.isWritable)
    }

    // MARK: Handshake

    private func answer(
        _ request: RequestHead,
        _ upgrade: ServerUpgrade,
        hasLeftovers: Bool,
        _ context: ChannelHandlerContext
    ) {
        var out = ByteBuffer()
        do {
            switch upgrade.answer(request, hasLeftovers: hasLeftovers) {
            case .accept(let head, let agreement):
                try head.serialize(into: &out)
                context.writeAndFlush(wrapOutboundOut(out), promise: nil)
                begin(.server, agreement)
            case .refuse(let head, let body, reason: _):
                try head.serialize(into: &out)
                out.writeString(body)
                phase = .over
                context.writeAndFlush(wrapOutboundOut(out), promise: nil)
                context.close(promise: nil)
            }
        } catch {
            fail(error, context)
        }
    }

    private func begin(_ role: WebSocketRole, _ agreement: Agreement) {
        connection = Connection(role: role, limits: .unlimited, deflate: agreement.deflate)
        phase = .frames
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        phase = .over
        done.fail(error)
        context.close(promise: nil)
    }

    // MARK: Frames

    private func receiveFrames(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        connection?.receive(bytes)
        do {
            while let event = try connection?.nextEvent() {
                writeControl(context)
                try take(event, context)
            }
        } catch {
            // If the peer caused the error, the Close is in the output already. If this end did, it is not.
            connection?.close(error.closeCode)
        }
        writeControl(context)
        context.flush()
        if connection?.isOpen == false { finish(context) }
    }

    private func take(_ event: WebSocketEvent, _ context: ChannelHandlerContext) throws(WebSocketError) {
        guard case .message(let kind, let piece, let isFirst, let isLast) = event else { return }
        if isFirst { message.clear() }
        message.writeImmutableBuffer(piece)
        guard isLast, echoes else { return }
        var out = ByteBuffer()
        try connection?.encodeMessage(kind, payload: message, into: &out)
        context.write(wrapOutboundOut(out), promise: nil)
    }

    private func writeControl(_ context: ChannelHandlerContext) {
        guard let control = connection?.takeOutput() else { return }
        context.write(wrapOutboundOut(control), promise: nil)
    }

    /// Ends the TCP connection, which the server closes (RFC 6455 section 7.1.1). It first closes only its own
    /// direction, because closing with unread bytes would reset the connection and lose our Close. The client waits for
    /// that.
    private func finish(_ context: ChannelHandlerContext) {
        phase = .closing
        if case .server = opening {
            context.close(mode: .output, promise: nil)
        }
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }
}
