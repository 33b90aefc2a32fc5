import NIOCore
import TunnelCore

/// Resets a visitor's connection before a byte of it is read.
final class RefusedVisitorHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { reset(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        reset(context)
    }

    private func reset(_ context: ChannelHandlerContext) {
        SocketOptions.resetOnClose(context.channel)
        context.close(promise: nil)
    }
}
