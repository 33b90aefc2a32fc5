import NIOCore
import NIOPosix

/// A Unix socket whose connections become streams, on the session's own event loop.
package final class UnixIngress: Ingress {
    package let tunnel: UInt16
    private let path: String
    private let channel: any Channel
    /// The file, so that no other program's is removed.
    private let file: FileIdentity?
    private let gate: AcceptGate?

    private init(tunnel: UInt16, path: String, channel: any Channel) {
        self.tunnel = tunnel
        self.path = path
        self.channel = channel
        file = FileIdentity(socketAt: path)
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
        let bound = UnixListener.makeWay(at: path, on: loop).flatMapThrowing {
            try UnixListener.open(path, access, backlog: Int32(clamping: limits.listenQueue))
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

    package var addresses: String { path }

    package var isAccepting = true {
        didSet { gate?.isWanted = isAccepting }
    }

    /// Gives the address up, and removes its file.
    package func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        if channel.isActive { UnixListener.remove(path, if: file) }
        channel.close(promise: nil)
        return channel.closeFuture
    }
}
