import NIOCore
import NIOPosix

/// Connects to a Unix socket, on the session's own event loop.
package struct UnixEgress: Egress {
    private let path: String
    private let loop: any EventLoop
    private let timeout: TimeAmount

    /// - Parameter timeout: time that the service may take to accept a connection.
    package init(path: String, loop: any EventLoop, timeout: TimeAmount) {
        self.path = path
        self.loop = loop
        self.timeout = timeout
    }

    package func connect(for pipe: StreamPipe) -> EventLoopFuture<any Channel> {
        let channel = NIOLoopBoundBox<(any Channel)?>(nil, eventLoop: loop)
        pipe.connecting { channel.value?.close(promise: nil) }
        return ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { new in
                new.eventLoop.makeCompletedFuture {
                    try SocketOptions.service(new)
                    DescriptorCount.shared.track(new)
                    channel.value = new
                }
            }
            .connect(unixDomainSocketPath: path)
    }
}
