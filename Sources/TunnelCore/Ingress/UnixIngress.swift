import NIOCore
import NIOPosix

/// A Unix socket whose connections become streams, on the session's own event loop.
package final class UnixIngress: Ingress {
    package let tunnel: UInt16
    private let path: String
    private let channel: any Channel
    private let gate: AcceptGate?

    private init(tunnel: UInt16, path: String, channel: any Channel) {
        self.tunnel = tunnel
        self.path = path
        self.channel = channel
        gate = try? channel.pipeline.syncOperations.handler(type: AcceptGate.self)
    }

    /// Listens at `path`. A socket file that is left over is replaced; one at which a program answers is not.
    ///
    /// - Returns: fails with ``UnixListener/Failure``, or with an `IOError`.
    package static func bind(
        tunnel: UInt16,
        path: String,
        access: UnixSocketAccess = UnixSocketAccess.ownersOnly,
        limits: IngressLimits,
        loop: any EventLoop,
        onVisitor: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<UnixIngress> {
        let visitor = NIOLoopBound(onVisitor, eventLoop: loop)
        let bound = answers(path, loop).flatMapThrowing { answers -> NIOBSDSocket.Handle in
            guard !answers else { throw UnixListener.Failure(description: "another program answers there") }
            return try UnixListener.open(path, access, backlog: Int32(clamping: limits.listenQueue))
        }
        .flatMap { descriptor in
            ServerBootstrap(group: loop)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(AcceptGate())
                    }
                }
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try visitor.value(channel) }
                }
                .withBoundSocket(descriptor)
        }
        return bound.map {
            NIOLoopBound(UnixIngress(tunnel: tunnel, path: path, channel: $0), eventLoop: loop)
        }
        .map(\.value)
    }

    /// Whether a program accepts connections at `path`.
    private static func answers(_ path: String, _ loop: any EventLoop) -> EventLoopFuture<Bool> {
        ClientBootstrap(group: loop).connect(unixDomainSocketPath: path)
            .map { channel in
                channel.close(promise: nil)
                return true
            }
            .flatMapErrorThrowing { _ in false }
    }

    package var addresses: String { path }

    package var isAccepting = true {
        didSet { gate?.isWanted = isAccepting }
    }

    /// Gives the address up, and removes its file.
    package func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        UnixListener.remove(path)
        channel.close(promise: nil)
        return channel.closeFuture
    }
}
