import HTTP1
import NIOCore
import TunnelCore

/// How a request is answered.
package enum AdminAnswer: Sendable {
    case now(AdminResponse)
    /// The answer takes a while, for instance because several event loops are asked.
    case later(@Sendable () async -> AdminResponse)
}

/// One connection to the admin server: reads one request head, answers it, and ends. It discards all further bytes.
package final class AdminConnection: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Scrapers and probes send few fields.
    package static let limits = HeadLimits(maximumBytes: 8_192, maximumFields: 32, maximumLineBytes: 4_096)

    private enum State {
        case reading
        case answering
        /// The kernel has the answer and the FIN after it.
        case answered
    }

    private let answers: @Sendable (RequestHead) -> AdminAnswer
    private let timeout: TimeAmount
    private var parser = RequestHeadParser(limits: AdminConnection.limits)
    private var pending = ByteBuffer()
    private var state = State.reading
    private var peerHasEnded = false
    private var deadline: Scheduled<Void>?

    /// - Parameters:
    ///   - timeout: the time for the head, and then the same time for the answer.
    ///   - answers: decides how a request is answered.
    package init(timeout: TimeAmount, answers: @escaping @Sendable (RequestHead) -> AdminAnswer) {
        self.timeout = timeout
        self.answers = answers
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.refuse(context, AdminResponse(HTTP1Error(.timeout)))
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .reading = state else { return }
        pending.writeImmutableBuffer(unwrapInboundIn(data))
        do throws(HTTP1Error) {
            guard let head = try parser.receive(&pending) else { return }
            let isHead = head.method == "HEAD"
            switch answers(head) {
            case .later(let body): wait(context, for: body, isHead: isHead)
            case .now(let response): refuse(context, response, isHead: isHead)
            }
        } catch {
            guard error.kind != .notHTTP else { return context.close(promise: nil) }
            refuse(context, AdminResponse(error))
        }
    }

    private func wait(
        _ context: ChannelHandlerContext,
        for body: @escaping @Sendable () async -> AdminResponse,
        isHead: Bool
    ) {
        begin(context)
        let answer = context.eventLoop.makePromise(of: AdminResponse.self)
        answer.completeWithTask { await body() }
        answer.futureResult.assumeIsolated().whenSuccess { response in
            guard context.channel.isActive else { return }
            self.write(context, response, isHead: isHead)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ response: AdminResponse, isHead: Bool = false) {
        guard case .reading = state else { return }
        begin(context)
        write(context, response, isHead: isHead)
    }

    /// Starts the time for the answer.
    private func begin(_ context: ChannelHandlerContext) {
        state = .answering
        pending = ByteBuffer()
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { channel.close(promise: nil) }
    }

    private func write(_ context: ChannelHandlerContext, _ response: AdminResponse, isHead: Bool) {
        let bytes: ByteBuffer
        do throws(HTTP1Error) {
            bytes = try response.serialized(isHead: isHead)
        } catch {
            // Status and fields are constants, so serialization does not fail.
            return context.close(promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { _ in
            self.state = .answered
            guard !self.peerHasEnded else { return context.close(promise: nil) }
            // Closing a socket that has unread bytes sends RST, which may destroy the answer. So FIN goes first, and the
            // peer's FIN closes the connection.
            context.close(mode: .output, promise: nil)
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            peerHasEnded = true
            switch state {
            case .reading, .answered: context.close(promise: nil)
            case .answering: break
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
