import HTTP1
import NIOCore
import NIOPosix
import TunnelCore

extension Backend {
    /// Time for the backend to accept a connection.
    static let connectTimeout = TimeAmount.seconds(10)
    private static let unavailable =
        "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    /// Relays a connection to the backend: the head and the body one way, the answer the other way.
    ///
    /// - Parameters:
    ///   - rest: the bytes that arrived after the head.
    ///   - limits: the timeouts of each part.
    func take(
        _ channel: any Channel,
        _ head: RequestHead,
        _ body: RequestBody,
        rest: ByteBuffer,
        limits: ServerLimits
    ) {
        var first = ByteBuffer()
        do throws(HTTP1Error) {
            try head.serialize(into: &first)
        } catch {
            return channel.close(promise: nil)
        }
        let loop = channel.eventLoop
        let near = BackendRelaySide(idleTimeout: TimeAmount(limits.backendIdle), body: body)
        let far = BackendRelaySide(idleTimeout: TimeAmount(limits.backendIdle))
        (near.other, far.other) = (far, near)
        far.write(first)
        do {
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.pipeline.syncOperations.addHandler(near)
        } catch {
            return channel.close(promise: nil)
        }
        watch(channel, near, far, limits)
        near.pass(rest)
        guard !near.isRefused else { return }
        ClientBootstrap(group: loop)
            .connectTimeout(Self.connectTimeout)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { backend in
                DescriptorCount.shared.track(backend)
                return backend.eventLoop.makeSucceededVoidFuture()
            }
            .resolver(HostResolver(for: .service, on: loop))
            .connect(host: host, port: port)
            .assumeIsolated()
            .flatMapThrowing { backend in
                // Several addresses may be tried; only the connection that succeeds becomes the far side.
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
                    loop.assumeIsolated().scheduleTask(in: BusyHandler.timeout) { near.close() }
                }
            }
    }

    /// Ends a connection when the request, the answer or the whole exchange exceeds its timeout.
    private func watch(
        _ channel: any Channel,
        _ near: BackendRelaySide,
        _ far: BackendRelaySide,
        _ limits: ServerLimits
    ) {
        let loop = channel.eventLoop.assumeIsolated()
        let body = loop.scheduleTask(in: TimeAmount(limits.backendBody)) {
            guard !near.hasRequest else { return }
            near.answer(Self.timedOut)
            far.close()
        }
        let total = loop.scheduleTask(in: TimeAmount(limits.backendTotal)) {
            far.close()
            near.close()
        }
        near.whenRequestIsComplete { [weak near, weak far, weak channel = channel as (any Channel)?] in
            body.cancel()
            guard let channel else { return }
            let answer = loop.scheduleTask(in: TimeAmount(limits.backendAnswer)) {
                guard let near, !near.hasWritten else { return }
                near.answer(Self.silent)
                far?.close()
            }
            channel.closeFuture.whenComplete { _ in answer.cancel() }
        }
        channel.closeFuture.whenComplete { _ in
            body.cancel()
            total.cancel()
        }
    }

    private static let timedOut =
        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    private static let silent =
        "HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
}
