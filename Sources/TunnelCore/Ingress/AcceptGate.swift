import NIOCore

/// Decides whether a listening socket accepts: not while its owner has no room, not for a moment when connections come
/// faster than they may, and neither when the process has no descriptor left. NIO backs off then as well, but leaves the
/// socket readable and spins.
package final class AcceptGate: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    /// How long accepting pauses when the process has no descriptor left.
    package static let withoutDescriptors = TimeAmount.milliseconds(500)

    private var channel: (any Channel)?
    /// Until when it rests.
    private var restEnds = NIODeadline.uptimeNanoseconds(0)
    private var isResting = false {
        didSet { apply(oldValue != isResting) }
    }
    private var takesSingly = false
    /// Asked when a rest ends: whether there is a descriptor for the next connection.
    package var hasDescriptor: () -> Bool = { true }
    /// Told of each connection.
    package var onAccepted: () -> Void = {}

    package init() {}

    /// Whether the owner has room.
    package var isWanted = true {
        didSet { apply(oldValue != isWanted) }
    }

    /// From now on takes one connection in a turn of the loop. NIO takes up to four, and a rest that one of them begins
    /// does not stop the others.
    package func takeSingly() {
        guard !takesSingly, let channel else { return }
        takesSingly = true
        channel.setOption(.maxMessagesPerRead, value: 1).whenFailure { _ in
            // Closed meanwhile: it takes none.
        }
    }

    private func apply(_ hasChanged: Bool) {
        guard hasChanged, let channel else { return }
        channel.setOption(.autoRead, value: isWanted && !isResting).whenFailure { _ in
            // Closed meanwhile: it accepts nobody either way.
        }
    }

    /// Accepts nobody for a while; the longest such wish counts.
    package func rest(for time: TimeAmount) {
        guard let channel else { return }
        restEnds = max(restEnds, .now() + time)
        guard !isResting else { return }
        isResting = true
        wakeUp(channel.eventLoop)
    }

    private func wakeUp(_ loop: any EventLoop) {
        loop.assumeIsolated().scheduleTask(deadline: restEnds) {
            let now = NIODeadline.now()
            guard now >= self.restEnds else { return self.wakeUp(loop) }
            guard self.hasDescriptor() else {
                self.restEnds = now + Self.withoutDescriptors
                return self.wakeUp(loop)
            }
            self.isResting = false
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        onAccepted()
        context.fireChannelRead(data)
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        channel = context.channel
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        channel = nil
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard case .outOfDescriptors? = SocketFailure(error) else { return context.fireErrorCaught(error) }
        rest(for: Self.withoutDescriptors)
    }
}
