import HTTP1
import NIOCore
import NIOPosix

extension Backend {
    /// How long the backend may take to accept.
    private static let connectTimeout = TimeAmount.seconds(10)
    private static let unavailable =
        "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    /// Hands a connection on: `head` goes first, then its body, and the answer comes back.
    ///
    /// - Parameters:
    ///   - rest: what has come behind the head.
    ///   - idle: the silence after which it is ended.
    func take(_ channel: any Channel, _ head: RequestHead, _ body: RequestBody, rest: ByteBuffer, idle: Duration) {
        var first = ByteBuffer()
        do throws(HTTP1Error) {
            try head.serialize(into: &first)
        } catch {
            return channel.close(promise: nil)
        }
        let loop = channel.eventLoop
        let near = BackendRelaySide(idleTimeout: TimeAmount(idle), body: body)
        let far = BackendRelaySide(idleTimeout: TimeAmount(idle))
        (near.other, far.other) = (far, near)
        far.write(first)
        do {
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.pipeline.syncOperations.addHandler(near)
        } catch {
            return channel.close(promise: nil)
        }
        near.pass(rest)
        guard !near.isRefused else { return }
        ClientBootstrap(group: loop)
            .connectTimeout(Self.connectTimeout)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { backend in
                backend.eventLoop.makeCompletedFuture {
                    if isLoopback(host) { LoopbackPacing.end(on: backend) }
                }
            }
            .resolver(HostResolver(for: .service, on: loop))
            .connect(host: host, port: port)
            .assumeIsolated()
            .flatMapThrowing { backend in
                // Of several addresses only the one that has connected has a side.
                try backend.pipeline.syncOperations.addHandler(far)
                guard backend.isActive else { throw ChannelError.ioOnClosedChannel }
            }
            .whenComplete { result in
                switch result {
                case .success:
                    near.start()
                    far.start()
                case .failure:
                    near.write(ByteBuffer(string: Self.unavailable))
                    near.finish()
                    loop.assumeIsolated().scheduleTask(in: .seconds(1)) { near.close() }
                }
            }
    }
}
