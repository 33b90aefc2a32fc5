import Logging
import NIOCore
import TunnelAdmin
import TunnelCore

/// Checks by the first byte whether a connection speaks the port's protocol, and otherwise answers in the peer's own.
///
/// A ClientHello on a plain port gets a TLS alert. A plain request on a TLS port gets HTTP status 400.
final class FirstByteCheck: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The type of a TLS handshake record (RFC 8446 section 5.1). No HTTP method begins with this byte.
    private static let handshake: UInt8 = 0x16
    /// A fatal alert, unexpected_message (RFC 8446 section 6).
    static let alert: [UInt8] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0A]
    /// The body of the answer to a plain request.
    static let advice = "this port speaks TLS: use wss:// or https://\n"
    /// Time for the peer to read the answer.
    private static let timeout = BusyHandler.timeout

    private let isTLS: Bool
    private let throttle: LogThrottle
    private let metrics: ServerMetrics
    private let logger: Logger
    private var isAnswered = false

    /// - Parameter isTLS: whether the port speaks TLS.
    init(isTLS: Bool, throttle: LogThrottle, metrics: ServerMetrics, logger: Logger) {
        self.metrics = metrics
        self.isTLS = isTLS
        self.throttle = throttle
        self.logger = logger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        let buffer = unwrapInboundIn(data)
        guard let first = buffer.readableBytesView.first else { return }
        if isTLS, buffer.readableBytesView.starts(with: "PROXY ".utf8) {
            log("the PROXY protocol came from an address that is not a trusted front; name it with --trusted-front")
            return answer(context, Self.refusal)
        }
        if isTLS, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) {
            log("a request without TLS came to a port that speaks TLS; the client's URL must begin with wss://")
            return answer(context, Self.refusal)
        }
        if !isTLS, first == Self.handshake {
            log("a TLS handshake came to a port without TLS; the client's URL must begin with ws://")
            return answer(context, ByteBuffer(bytes: Self.alert))
        }
        context.fireChannelRead(data)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private static var refusal: ByteBuffer {
        ByteBuffer(
            string: "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                + "Content-Length: \(advice.utf8.count)\r\n\r\n\(advice)"
        )
    }

    private func log(_ message: Logger.Message) {
        metrics.failed(.notHTTP)
        throttle.log(message, at: .info, to: logger)
    }

    private func answer(_ context: ChannelHandlerContext, _ bytes: ByteBuffer) {
        isAnswered = true
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        // FIN goes first: closing a socket that has unread bytes sends RST, which may destroy the answer.
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.timeout) { channel.close(promise: nil) }
    }
}
