import NIOCore

/// Decides whether a listening socket accepts: not while its owner has no room, and not for a moment when the process
/// has no descriptor left. NIO backs off then as well, but leaves the socket readable and spins.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// How long accepting pauses when the process has no descriptor left.
    private static let rest = TimeAmount.milliseconds(500)

    private var channel: (any Channel)?
    private var isResting = false {
        didSet { apply(oldValue != isResting) }
    }

    /// Whether the owner has room.
    var isWanted = true {
        didSet { apply(oldValue != isWanted) }
    }

    private func apply(_ hasChanged: Bool) {
        guard hasChanged, let channel else { return }
        channel.setOption(.autoRead, value: isWanted && !isResting).whenFailure { _ in
            // Closed meanwhile: it accepts nobody either way.
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        channel = context.channel
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        channel = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard case .outOfDescriptors? = SocketFailure(error) else { return context.fireErrorCaught(error) }
        isResting = true
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.rest) { self.isResting = false }
    }
}
