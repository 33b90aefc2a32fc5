import Mux
import NIOCore
import TunnelCore

/// A connection whose bytes go unread to one member, in one stream.
///
/// It is a visitor's at a port of a group or of another server's session. At host names it has TLS that is passed through,
/// or the bytes for another server. A client's carrier whose session is at another server is one too.
final class RawVisitor: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The member that is tried; nil if there is none yet.
    private var member: RouteMember?
    /// The members of the place; nil if there is no choice.
    private var route: Route?
    private let visitor: RoutedVisitor
    private var stream: VisitorStream?
    private var context: ChannelHandlerContext?
    private var isReading = false
    private var hasEnded = false
    private var hasStreamEnded = false
    private var untaken = 0
    /// Bytes for a stream that has not begun: read by another handler, or with an early FIN, since NIO reads everything then.
    private var first: ByteBuffer
    /// The limit of these bytes. 1 MiB: the kernel keeps less of a connection that is not read, unless it is set otherwise.
    static let waitingBytes = 1 << 20
    /// What the visitor gets, instead of a reset, if no member is reached.
    var farewell: ByteBuffer?
    /// Whether the connection ends with the stream, whose other end closes both directions.
    private let closesAtEnd: Bool
    /// Whether the session is at another server, which has not accepted the stream. Nothing is read until then, so that
    /// another member can take the visitor.
    private var awaitsSession = false
    /// Members that were tried.
    private var tries = 1
    /// Members that are tried for a visitor: of three servers, two may have just failed.
    private static let maximumTries = 3
    /// Time in which a client that has lost its server must be back at another one. 5 s: it dials again at once.
    static let waitTimeout = TimeAmount.seconds(5)
    /// Time after which a visitor that waits tries the members that there are. 1 s: a link may be back that was not reached.
    static let retryTime = TimeAmount.seconds(1)
    /// The end of the wait for a member.
    private var waitsUntil: NIODeadline?
    private var isRenewing = false
    private var timer: Scheduled<Void>?

    /// Sends a visitor to a certain member, and to no other one.
    init(to member: RouteMember, _ visitor: RoutedVisitor) {
        (self.member, route, self.visitor) = (member, nil, visitor)
        (first, closesAtEnd) = (ByteBuffer(), false)
    }

    /// Sends a visitor to a member of a route. If its server is not reached, another one is tried, or the visitor waits.
    ///
    /// - Parameters:
    ///   - first: what the stream begins with: bytes that another handler has read, or the head that it has written instead.
    ///   - hasEnded: whether the connection brings nothing more.
    init(
        of route: Route,
        _ visitor: RoutedVisitor,
        first: ByteBuffer = ByteBuffer(),
        hasEnded: Bool = false
    ) {
        (self.route, self.visitor, self.first, self.hasEnded) = (route, visitor, first, hasEnded)
        closesAtEnd = false
    }

    /// Continues with the stream to the home of a client's carrier, which has accepted it. The connection's bytes are asked
    /// for from now on, and both directions end with the stream.
    init(carrier stream: VisitorStream, _ visitor: RoutedVisitor) {
        (member, route, self.stream, self.visitor) = (stream.member, nil, stream, visitor)
        (first, closesAtEnd) = (ByteBuffer(), true)
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
        stopWaiting()
    }

    private func stopWaiting() {
        timer?.cancel()
        route?.stopWaiting(self)
    }

    func channelActive(context: ChannelHandlerContext) {
        open(context)
        context.fireChannelActive()
    }

    private func open(_ context: ChannelHandlerContext) {
        guard stream == nil else { return }
        guard let member = member ?? route?.member(for: visitor.address) else { return wait(context) }
        self.member = member
        let stream = VisitorStream.open(to: member, for: visitor, on: context.eventLoop)
        stream.receiver = self
        self.stream = stream
        awaitsSession = member.isRemote
        if !awaitsSession { begin(stream) }
    }

    /// Waits until a member is there, or resets the visitor.
    private func wait(_ context: ChannelHandlerContext) {
        let until = waitsUntil ?? .now() + Self.waitTimeout
        waitsUntil = until
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let isWaiting = route?.wait(self) { this.eventLoop.execute { this.value.tryAgain() } } ?? false
        guard isWaiting, NIODeadline.now() < until else {
            stopWaiting()
            return refuse(context)
        }
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: min(until, .now() + Self.retryTime)) {
            self.tryAgain()
        }
    }

    /// No member is reached.
    private func refuse(_ context: ChannelHandlerContext) {
        guard let farewell else { return SocketReset.afterSending(context.channel, within: RoutedStream.lingering) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(farewell), promise: nil)
        SocketOptions.finishOutput(context)
        context.eventLoop.assumeIsolated().scheduleTask(in: RoutedStream.lingering) { channel.close(promise: nil) }
    }

    private func tryAgain() {
        guard stream == nil, !isRenewing, let context else { return }
        guard let renewal = route?.renewal else { return openAgain() }
        isRenewing = true
        renewal(context.eventLoop).assumeIsolated().whenComplete { result in
            self.isRenewing = false
            if case .success(let route?) = result { self.route = route }
            self.openAgain()
        }
    }

    private func openAgain() {
        guard stream == nil, let context, context.channel.isActive else { return }
        (member, tries) = (nil, 1)
        open(context)
    }

    private func begin(_ stream: VisitorStream) {
        stopWaiting()
        stream.send(first)
        first = ByteBuffer()
        if hasEnded { stream.finish() }
        read()
    }

    /// Whether bytes go to a stream. Others wait, so that another member can have them.
    private var hasBegun: Bool { stream != nil && !awaitsSession }

    private func read() {
        guard !isReading, !hasEnded, !awaitsSession, let context, stream?.hasRoom == true else { return }
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if hasBegun {
            stream?.send(bytes)
        } else if first.readableBytes + bytes.readableBytes <= Self.waitingBytes {
            first.writeBuffer(&bytes)
        } else {
            stream?.reset()
            stream = nil
            SocketReset.afterSending(context.channel, within: RoutedStream.lingering)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        read()
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            hasEnded = true
            if hasBegun { stream?.finish() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        stream?.reset()
        stream = nil
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stopWaiting()
        // If the output has ended in order, NIO closes the channel at the visitor's FIN without a word.
        if hasStreamEnded { stream?.finish() } else { stream?.reset() }
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
            guard let context = self.context else { return }
            SocketOptions.finishOutput(context)
            if self.closesAtEnd { context.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }

    func stream(_ stream: VisitorStream, failed failure: StreamFailure) {
        self.stream = nil
        guard let channel = context?.channel else { return }
        if awaitsSession, failure.isOfServer, let context, let route, let failed = member {
            if tries < Self.maximumTries, let other = route.other(than: failed, for: visitor.address) {
                tries += 1
                member = other
                return open(context)
            }
            if route.keepsVisitors { return wait(context) }
            return refuse(context)
        }
        SocketReset.afterSending(channel, within: RoutedStream.lingering)
    }

    func streamIsAccepted(_ stream: VisitorStream) {
        guard awaitsSession else { return }
        awaitsSession = false
        begin(stream)
    }

    func streamHasRoom(_ stream: VisitorStream) { read() }
}
