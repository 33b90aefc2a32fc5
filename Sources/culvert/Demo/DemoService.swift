import HTTP1
import NIOCore
import NIOPosix

/// The web service of the demo, which answers every request with one page.
struct DemoService {
    /// The text of the page, by which a visitor recognises it.
    static let greeting = "Hello from behind the proxy."

    let port: Int

    /// Listens on a port of loopback that the system chooses.
    static func start(on group: any EventLoopGroup) async throws -> DemoService {
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(PageHandler()) }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return DemoService(port: channel.localAddress?.port ?? 0)
    }
}

/// Answers one request and closes.
private final class PageHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var parser = RequestHeadParser()
    private var pending = ByteBuffer()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pending.writeImmutableBuffer(unwrapInboundIn(data))
        do throws(HTTP1Error) {
            guard let head = try parser.receive(&pending) else { return }
            try answer(context, head)
        } catch {
            context.close(promise: nil)
        }
    }

    private func answer(_ context: ChannelHandlerContext, _ head: RequestHead) throws(HTTP1Error) {
        let page = """
            <!doctype html>
            <title>Culvert</title>
            <h1>\(DemoService.greeting)</h1>
            <p>This page came out of a web service that no visitor can reach,
            through a WebSocket that runs inside an HTTP proxy's tunnel.</p>

            """
        let fields = try HeaderFields([
            ("Content-Type", "text/html; charset=utf-8"), ("Content-Length", "\(page.utf8.count)"),
            ("Connection", "close"),
        ])
        var bytes = ByteBuffer()
        try ResponseHead(version: .http1_1, status: 200, reason: ReasonPhrase.text(for: 200), fields: fields).serialize(
            into: &bytes
        )
        if head.method != "HEAD" { bytes.writeString(page) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(bytes)).whenComplete { _ in channel.close(promise: nil) }
    }
}
