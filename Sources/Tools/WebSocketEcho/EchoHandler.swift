import HTTP1
import NIOCore
import WebSocket

/// One connection of either role. After the handshake it echoes each message in one frame.
///
/// `done` gets the last message at the end of the connection, or the error of the handshake. Later errors of the peer
/// are answered and are not failures, because the test suite provokes them.
final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The role of this end, with its handshake.
    enum Handshake {
        case client(ClientUpgrade)
        case server(ServerUpgrade)
    }

    /// The state of the handler; the state of frames is in `connection`.
    private enum Phase {
        case request(RequestHeadParser, ServerUpgrade)
        case response(ResponseHeadParser, ClientUpgrade)
        case frames
        /// Close frames have gone both ways, or the peer has failed, and the TCP connection is about to end.
        case closing
        /// Further bytes are ignored.
        case ended
    }

    /// The time for the peer to close the TCP connection after Close.
    private static let closeTimeout = TimeAmount.seconds(2)

    private let handshake: Handshake
    private let echoes: Bool
    private let done: EventLoopPromise<ByteBuffer>
    private var phase: Phase
    private var connection: Connection?
    private var message = ByteBuffer()

    init(handshake: Handshake, echoes: Bool, done: EventLoopPromise<ByteBuffer>) {
        self.handshake = handshake
        self.echoes = echoes
        self.done = done
        switch handshake {
        case .client(let upgrade): phase = .response(ResponseHeadParser(), upgrade)
        case .server(let upgrade): phase = .request(RequestHeadParser(), upgrade)
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        guard case .client(let upgrade) = handshake else { return }
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
            case .closing, .ended:
                break
            }
        } catch {
            fail(error, context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch phase {
        case .frames, .closing: done.succeed(message)
        case .request, .response, .ended: done.fail(ChannelError.eof)
        }
        phase = .ended
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
                phase = .ended
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
        phase = .ended
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
            // After an error of the peer the Close is already in the output. After an error of this end it is not.
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

    /// Ends the TCP connection, which the server closes first (RFC 6455 section 7.1.1). The server first closes its own
    /// direction only, because closing with unread bytes would reset the connection and lose its Close frame.
    private func finish(_ context: ChannelHandlerContext) {
        phase = .closing
        if case .server = handshake {
            context.close(mode: .output, promise: nil)
        }
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.closeTimeout) { channel.close(promise: nil) }
    }
}
