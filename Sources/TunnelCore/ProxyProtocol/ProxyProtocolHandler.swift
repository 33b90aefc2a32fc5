import NIOCore

/// Removes the PROXY protocol's header from the beginning of a front's connection, reports it, and leaves the pipeline.
/// Bytes that follow it go on; nothing else passes before.
package final class ProxyProtocolHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private let isRequired: Bool
    private let timeout: TimeAmount
    private let onHeader: (ProxyProtocolHeader?) throws -> Void
    private var pending = ByteBuffer()
    private var isDone = false
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - isRequired: whether a connection without a header is closed; otherwise it goes on unchanged.
    ///   - timeout: how long a front may take for its header.
    ///   - onHeader: called once before the first byte goes on, with nil if there was no header.
    package init(isRequired: Bool, timeout: TimeAmount, onHeader: @escaping (ProxyProtocolHeader?) throws -> Void) {
        self.isRequired = isRequired
        self.timeout = timeout
        self.onHeader = onHeader
    }

    package func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { context.close(promise: nil) }
        // A visitor's socket is read only on request.
        context.read()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return context.fireChannelRead(data) }
        pending.writeImmutableBuffer(unwrapInboundIn(data))
        do {
            if let header = try ProxyProtocolParser().receive(&pending) {
                try finish(context, header)
            } else {
                context.read()
            }
        } catch ProxyProtocolParser.Failure.notAHeader where !isRequired {
            do { try finish(context, nil) } catch { context.close(promise: nil) }
        } catch {
            context.close(promise: nil)
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    private func finish(_ context: ChannelHandlerContext, _ header: ProxyProtocolHeader?) throws {
        isDone = true
        timer?.cancel()
        try onHeader(header)
        let rest = pending
        pending = ByteBuffer()
        if rest.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
