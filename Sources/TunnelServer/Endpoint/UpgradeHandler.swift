import HTTP1
import Logging
import NIOCore
import TunnelAdmin
import TunnelCore
import WebSocket

/// Reads one request head on a new connection, answers it, and hands the bytes after it to the carrier or the backend.
final class UpgradeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let upgrade: ServerUpgrade
    /// The log, with what is known of the peer by now.
    private let currentLogger: () -> Logger
    private let throttle: LogThrottle
    private let metrics: ServerMetrics
    private let verification: PeerVerification?
    private let onFirstBytes: () -> Void
    private let onHead: (RequestHead) -> Void
    private let admits: (RequestHead) -> Bool
    private let mayAnswer: () -> Bool
    private let forwards: (RequestHead, ByteBuffer) throws(Backend.Refusal) -> Bool
    private let onUpgraded: (any Channel, Agreement) throws -> Void
    private var parser: RequestHeadParser
    private var pending = ByteBuffer()
    private var isAnswered = false

    /// - Parameters:
    ///   - throttle: bounds the log lines that peers cause.
    ///   - verification: the check of the client's certificate; nil without TLS or if clients need no certificate.
    ///   - onFirstBytes: called when the first bytes arrive.
    ///   - onHead: called with the request's head, before anything is decided or logged about it.
    ///   - admits: decides whether there is room for a client that requests a session.
    ///   - mayAnswer: decides whether a request that opens no session is answered.
    ///   - forwards: hands a request that is not for the endpoint to the backend; false if it is for the endpoint.
    ///   - onUpgraded: adds the carrier after the answer.
    init(
        upgrade: ServerUpgrade,
        limits: HeadLimits = .request,
        logger: @autoclosure @escaping () -> Logger,
        throttle: LogThrottle,
        metrics: ServerMetrics = ServerMetrics(),
        verification: PeerVerification? = nil,
        onFirstBytes: @escaping () -> Void = {},
        onHead: @escaping (RequestHead) -> Void = { _ in },
        admits: @escaping (RequestHead) -> Bool = { _ in true },
        mayAnswer: @escaping () -> Bool = { true },
        forwards: @escaping (RequestHead, ByteBuffer) throws(Backend.Refusal) -> Bool = { _, _ in false },
        onUpgraded: @escaping (any Channel, Agreement) throws -> Void
    ) {
        self.upgrade = upgrade
        self.parser = RequestHeadParser(limits: limits)
        currentLogger = logger
        self.throttle = throttle
        self.metrics = metrics
        self.verification = verification
        self.onFirstBytes = onFirstBytes
        self.onHead = onHead
        self.admits = admits
        self.mayAnswer = mayAnswer
        self.forwards = forwards
        self.onUpgraded = onUpgraded
    }

    private var logger: Logger { currentLogger() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        if pending.readableBytes == 0 { onFirstBytes() }
        pending.writeImmutableBuffer(unwrapInboundIn(data))
        do throws(HTTP1Error) {
            guard let head = try parser.receive(&pending) else { return }
            onHead(head)
            if forward(context, head) { return }
            let answer = upgrade.answer(head, hasLeftovers: pending.readableBytes > 0)
            if case .accept = answer, !admits(head) {
                metrics.failed(.busy)
                return refuse(context, status: 503, after: 2)
            }
            self.answer(context, answer)
        } catch {
            metrics.failed(error.kind == .notHTTP ? .notHTTP : .request)
            logger.debug("not an HTTP request", metadata: ["error": "\(error.userDescription)"])
            if error.kind == .notHTTP {
                // TLS or noise: the peer would not understand an answer.
                isAnswered = true
                context.close(promise: nil)
            } else {
                refuse(context, status: error.status)
            }
        }
    }

    /// Forwards a request to the backend, or refuses it.
    ///
    /// - Returns: false if the request is for the endpoint.
    private func forward(_ context: ChannelHandlerContext, _ head: RequestHead) -> Bool {
        do throws(Backend.Refusal) {
            guard try forwards(head, pending) else { return false }
            // The connection belongs to the backend now.
            isAnswered = true
            pending = ByteBuffer()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            metrics.failed(.request)
            throttle.log(
                "request refused",
                at: .info,
                to: logger,
                ["status": .number(error.status), "reason": "\(error.reason)"]
            )
            refuse(context, status: error.status)
        }
        return true
    }

    private func answer(_ context: ChannelHandlerContext, _ answer: ServerUpgrade.Answer) {
        isAnswered = true
        switch answer {
        case .accept(let head, let agreement):
            write(context, head, body: "")
            context.flush()
            do {
                try onUpgraded(context.channel, agreement)
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
            } catch {
                context.close(promise: nil)
            }
        case .refuse(let head, let body, let reason):
            metrics.failed(.request)
            guard mayAnswer() else { return context.close(promise: nil) }
            throttle.log(
                "request refused",
                at: .info,
                to: logger,
                ["status": .number(head.status), "reason": "\(reason)"]
            )
            write(context, head, body: body)
            finish(context)
        }
    }

    /// Refuses a connection whose request has taken too long.
    func timeOut(_ context: ChannelHandlerContext) {
        guard !isAnswered else { return }
        metrics.failed(.timeout)
        throttle.log("the request took too long", at: .info, to: logger)
        refuse(context, status: 408)
    }

    private func refuse(_ context: ChannelHandlerContext, status: Int, after seconds: Int? = nil) {
        isAnswered = true
        do throws(HTTP1Error) {
            var fields = try HeaderFields([("Connection", "close"), ("Content-Length", "0")])
            // CONNECT is refused, and this status requires Allow (RFC 9110 section 15.5.6).
            if status == 405 { try fields.append("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") }
            if let seconds { try fields.append("Retry-After", "\(seconds)") }
            let reason = ReasonPhrase.text(for: status)
            write(context, ResponseHead(version: .http1_1, status: status, reason: reason, fields: fields), body: "")
        } catch {
            // The fields are constants, so serialization does not fail.
        }
        finish(context)
    }

    private func write(_ context: ChannelHandlerContext, _ head: ResponseHead, body: String) {
        var bytes = ByteBuffer()
        do throws(HTTP1Error) {
            try head.serialize(into: &bytes)
            bytes.writeString(body)
            context.write(wrapOutboundOut(bytes), promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    /// Sends FIN after the answer and waits for the peer's FIN.
    ///
    /// Closing a socket that has unread bytes sends RST, which may destroy the answer. The handshake's deadline bounds the
    /// wait.
    private func finish(_ context: ChannelHandlerContext) {
        context.flush()
        context.close(mode: .output, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let problem = verification?.problem {
            let reason = problem.sentence(of: "the client")
            throttle.log("a client's certificate was refused", at: .info, to: logger, ["reason": "\(reason)"])
        } else if let failure = TLSFailure(error), failure.says("PEER_DID_NOT_RETURN_A_CERTIFICATE") {
            throttle.log("a client showed no certificate", at: .info, to: logger)
        } else if let failure = TLSFailure(error), failure.says("ALERT", "KEY_USAGE") {
            let reason = failure.userDescription
            throttle.log("a TLS handshake with a client has failed", at: .info, to: logger, ["reason": "\(reason)"])
        } else {
            logger.debug("connection failed before the upgrade", metadata: ["error": "\(error.userDescription)"])
        }
        context.close(promise: nil)
    }
}
