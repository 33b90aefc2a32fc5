import NIOCore
import NIOPosix

/// Connects to a Unix socket, on the session's own event loop.
package struct UnixEgress: Egress {
    private let path: String
    private let loop: any EventLoop
    private let timeout: TimeAmount
    private let onSocket: NIOLoopBound<(any Channel) -> Void>

    /// To be made on `loop`.
    ///
    /// - Parameters:
    ///   - timeout: time that the service may take to accept a connection.
    ///   - onSocket: called with the socket when its connect begins.
    package init(
        path: String,
        loop: any EventLoop,
        timeout: TimeAmount,
        onSocket: @escaping (any Channel) -> Void = { _ in }
    ) {
        self.path = path
        self.loop = loop
        self.timeout = timeout
        self.onSocket = NIOLoopBound(onSocket, eventLoop: loop)
    }

    package func connect(onBegin: (@escaping () -> Void) -> Void) -> EventLoopFuture<any Channel> {
        let channel = NIOLoopBoundBox<(any Channel)?>(nil, eventLoop: loop)
        onBegin { channel.value?.close(promise: nil) }
        return ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { [onSocket] new in
                new.eventLoop.makeCompletedFuture {
                    onSocket.value(new)
                    try SocketOptions.service(new)
                    DescriptorCount.shared.track(new)
                    channel.value = new
                }
            }
            .connect(unixDomainSocketPath: path)
    }
}
