import ByteText
import HTTP1
import NIOCore
import NIOPosix
import Synchronization

/// The HTTP proxy of the demo, on loopback. It supports only CONNECT with Basic credentials.
struct DemoProxy {
    static let user = "demo"
    static let password = "through the pipe"
    /// `demo:through the pipe` in Base64 (RFC 7617).
    fileprivate static let authorization = "Basic ZGVtbzp0aHJvdWdoIHRoZSBwaXBl"

    let port: Int
    private let traffic: ProxyTraffic

    /// Listens on a port of loopback that the system chooses.
    static func start(on group: any EventLoopGroup) async throws -> DemoProxy {
        let traffic = ProxyTraffic()
        let channel = try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectHandler(traffic))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return DemoProxy(port: channel.localAddress?.port ?? 0, traffic: traffic)
    }

    /// Whether bytes have passed in both directions.
    var hasCarried: Bool { traffic.totals.out > 0 && traffic.totals.back > 0 }

    /// The traffic so far.
    var report: String {
        let totals = traffic.totals
        return "CONNECT \(totals.target), \(totals.out) bytes out, \(totals.back) bytes back"
    }
}

/// The proxy's counters. Event loops write them, and the demo reads them.
private final class ProxyTraffic: Sendable {
    struct Totals {
        var target = "nothing yet"
        var out = 0
        var back = 0
    }

    private let stored = Mutex(Totals())

    var totals: Totals { stored.withLock { $0 } }

    func opened(_ target: String) {
        stored.withLock { $0.target = target }
    }

    func carried(out: Int = 0, back: Int = 0) {
        stored.withLock {
            $0.out += out
            $0.back += back
        }
    }
}

/// A connection to the proxy until its CONNECT is answered.
private final class ConnectHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let traffic: ProxyTraffic
    private var parser = RequestHeadParser()
    private var pending = ByteBuffer()
    private var isConnecting = false

    init(_ traffic: ProxyTraffic) {
        self.traffic = traffic
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pending.writeImmutableBuffer(unwrapInboundIn(data))
        guard !isConnecting else { return }
        do throws(HTTP1Error) {
            guard let head = try parser.receive(&pending) else { return }
            guard head.method == "CONNECT", let colon = head.target.lastIndex(of: ":"),
                let port = Int(head.target[head.target.index(after: colon)...])
            else { return refuse(context, "405 Method Not Allowed", "Allow: CONNECT\r\n") }
            guard head.fields.first("Proxy-Authorization") == DemoProxy.authorization else {
                return refuse(
                    context,
                    "407 Proxy Authentication Required",
                    "Proxy-Authenticate: Basic realm=\"demo\"\r\n"
                )
            }
            connect(context, head.target, String(head.target[..<colon]), port)
        } catch {
            refuse(context, "400 Bad Request", "")
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ status: String, _ fields: String) {
        let answer = "HTTP/1.1 \(status)\r\n\(fields)Content-Length: 0\r\n\r\n"
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
    }

    private func connect(_ context: ChannelHandlerContext, _ target: String, _ host: String, _ port: Int) {
        isConnecting = true
        let near = RelayHandler { [traffic] in traffic.carried(out: $0) }
        let far = RelayHandler { [traffic] in traffic.carried(back: $0) }
        RelayHandler.join(near, far)
        let boundFar = NIOLoopBound(far, eventLoop: context.eventLoop)
        ClientBootstrap(group: context.eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(boundFar.value)
                }
            }
            .connect(host: host, port: port)
            .assumeIsolated()
            .whenComplete { result in
                guard case .success = result else { return self.refuse(context, "502 Bad Gateway", "") }
                self.traffic.opened(target)
                let answer = ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n")
                context.writeAndFlush(self.wrapOutboundOut(answer), promise: nil)
                do {
                    try context.pipeline.syncOperations.addHandler(near)
                    if self.pending.readableBytes > 0 { context.fireChannelRead(NIOAny(self.pending)) }
                    context.pipeline.syncOperations.removeHandler(self, promise: nil)
                } catch {
                    context.close(promise: nil)
                }
            }
    }
}

/// One half of a plain relay. Its partner writes what it reads.
private final class RelayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let count: (Int) -> Void
    private var partner: RelayHandler?
    private var context: ChannelHandlerContext?

    init(count: @escaping (Int) -> Void) {
        self.count = count
    }

    static func join(_ one: RelayHandler, _ other: RelayHandler) {
        one.partner = other
        other.partner = one
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        count(bytes.readableBytes)
        guard let far = partner?.context else { return }
        far.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        // Reading stops while the other side cannot write.
        if !far.channel.isWritable { _ = context.channel.setOption(.autoRead, value: false) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, let near = partner?.context else { return }
        _ = near.channel.setOption(.autoRead, value: true)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { partner?.context?.close(mode: .output, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        partner?.context?.close(promise: nil)
        partner = nil
    }
}
