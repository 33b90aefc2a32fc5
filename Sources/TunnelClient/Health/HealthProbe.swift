import HTTP1
import NIOCore
import TunnelCore

/// One check of a service: a connection, and for HTTP a request on it.
enum HealthProbe {
    /// Time for one check.
    static let timeout = TimeAmount.seconds(3)

    /// Checks a service.
    ///
    /// - Parameter host: the Host field of the request.
    /// - Returns: nil if the service is well, otherwise the reason; never fails.
    static func run(
        _ check: HealthCheck,
        _ egress: any Egress,
        host: String,
        on loop: any EventLoop
    ) -> EventLoopFuture<String?> {
        let answer = loop.makePromise(of: String?.self)
        let handler = NIOLoopBound(HealthProbeHandler(check, host: host, answer), eventLoop: loop)
        let timer = loop.scheduleTask(in: timeout) {
            handler.value.end("it did not answer within \(timeout.nanoseconds / 1_000_000_000) s")
        }
        egress.connect { cancel in handler.value.onTimeout = cancel }.assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error): handler.value.end(EgressFailure.reason(error))
            case .success(let channel): handler.value.start(on: channel)
            }
        }
        answer.futureResult.whenComplete { _ in timer.cancel() }
        return answer.futureResult
    }
}

/// The connection of one check.
private final class HealthProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes of a head that are read for its status.
    private static let limits = HeadLimits(maximumBytes: 16_384, maximumFields: 100, maximumLineBytes: 16_384)

    private let check: HealthCheck
    private let host: String
    private var answer: EventLoopPromise<String?>?
    private var parser = ResponseHeadParser(limits: limits)
    private var channel: (any Channel)?
    /// Gives up connecting.
    var onTimeout: (() -> Void)?

    init(_ check: HealthCheck, host: String, _ answer: EventLoopPromise<String?>) {
        (self.check, self.host, self.answer) = (check, host, answer)
    }

    func start(on channel: any Channel) {
        guard answer != nil else { return channel.close(promise: nil) }
        self.channel = channel
        guard case .http(let path) = check else { return end(nil) }
        do {
            try channel.pipeline.syncOperations.addHandler(self)
            var request = ByteBuffer()
            let fields = try HeaderFields([("Host", host), ("Connection", "close"), ("User-Agent", "health-check")])
            try RequestHead(method: "GET", target: path, fields: fields).serialize(into: &request)
            channel.writeAndFlush(request, promise: nil)
            channel.read()
        } catch {
            end("the request cannot be sent")
        }
    }

    /// Ends the check.
    ///
    /// - Parameter problem: nil if the service is well.
    func end(_ problem: String?) {
        guard let answer else { return }
        self.answer = nil
        if channel == nil { onTimeout?() }
        onTimeout = nil
        if let channel {
            SocketOptions.endOnClose(channel)
            channel.close(promise: nil)
        }
        answer.succeed(problem)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do throws(HTTP1Error) {
            guard let head = try parser.receive(&bytes) else { return context.read() }
            end((200..<400).contains(head.status) ? nil : "it answered with status \(head.status)")
        } catch {
            end("its answer is not HTTP")
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { end("it closed the connection without an answer") }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("it closed the connection without an answer")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(EgressFailure.reason(error))
        context.close(promise: nil)
    }
}
