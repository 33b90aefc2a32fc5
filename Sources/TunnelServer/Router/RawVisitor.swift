import Mux
import NIOCore
import TunnelCore

/// A visitor's connection whose bytes go to one member unread: TLS that is passed through, or a port of a group.
final class RawVisitor: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let member: RouteMember
    private let visitor: RoutedVisitor
    private var stream: VisitorStream?
    private var context: ChannelHandlerContext?
    private var isReading = false
    private var hasEnded = false
    private var hasStreamEnded = false
    private var untaken = 0
    /// Bytes that were read before.
    private var first: ByteBuffer

    /// - Parameters:
    ///   - first: bytes of the connection that another handler has read.
    ///   - hasEnded: whether the connection brings nothing more.
    init(
        to member: RouteMember,
        _ visitor: RoutedVisitor,
        first: ByteBuffer = ByteBuffer(),
        hasEnded: Bool = false
    ) {
        (self.member, self.visitor, self.first, self.hasEnded) = (member, visitor, first, hasEnded)
    }

    /// Continues with a stream that is open. The connection's bytes are asked for from now on.
    init(_ stream: VisitorStream, _ visitor: RoutedVisitor) {
        (member, self.stream, self.visitor, first) = (stream.member, stream, visitor, ByteBuffer())
    }

    // MARK: From the visitor

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if let stream {
            stream.receiver = self
            read()
        } else if context.channel.isActive {
            open(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        open(context)
        context.fireChannelActive()
    }

    private func open(_ context: ChannelHandlerContext) {
        guard stream == nil else { return }
        let stream = VisitorStream.open(to: member, for: visitor, on: context.eventLoop)
        stream.receiver = self
        self.stream = stream
        stream.send(first)
        first = ByteBuffer()
        if hasEnded { stream.finish() }
        read()
    }

    private func read() {
        guard !isReading, !hasEnded, let context, stream?.hasRoom == true else { return }
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        stream?.send(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        read()
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            hasEnded = true
            stream?.finish()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        stream?.reset()
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        // Both directions may have ended in order.
        if hasEnded, hasStreamEnded { stream?.leave() } else { stream?.reset() }
        stream = nil
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { reportTaken() }
        context.fireChannelWritabilityChanged()
    }

    private func reportTaken() {
        stream?.taken(untaken)
        untaken = 0
    }
}

extension RawVisitor: VisitorStreamReceiver {
    func stream(_ stream: VisitorStream, received bytes: [ByteBuffer]) {
        guard let context else { return }
        for part in bytes {
            untaken += part.readableBytes
            context.write(wrapOutboundOut(part), promise: nil)
        }
        context.flush()
        if context.channel.isWritable { reportTaken() }
    }

    func streamEnded(_ stream: VisitorStream) {
        hasStreamEnded = true
        guard let context else { return }
        // NIO drops what is unwritten when both directions are closed.
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.context?.close(mode: .output, promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }

    func stream(_ stream: VisitorStream, failed failure: StreamFailure) {
        self.stream = nil
        guard let channel = context?.channel else { return }
        SocketReset.afterSending(channel, within: RoutedStream.lingering)
    }

    func streamHasRoom(_ stream: VisitorStream) { read() }
}
