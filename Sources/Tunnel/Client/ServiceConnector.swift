import Mux
import NIOCore
import NIOPosix

/// Connects to a local service, on the session's own event loop.
struct ServiceConnector {
    /// How long a service may take to answer.
    static let timeout = TimeAmount.seconds(10)

    let loop: any EventLoop

    /// Connects and joins the socket to `pipe`, which learns by itself when the connection stands.
    func connect(_ forward: RemoteForward, _ pipe: StreamPipe) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(pipe, eventLoop: loop)
        let port = Int(forward.hostPort)
        // localhost needs no resolver (RFC 6761 section 6.3): it is asked for at each visitor, and the resolver has one
        // thread.
        if forward.host == "localhost" {
            return connect("127.0.0.1", port, bound).flatMapError { error in
                bound.value.isPending
                    ? connect("::1", port, bound).flatMapErrorThrowing { _ in throw error }
                    : loop.makeFailedFuture(error)
            }
        }
        return connect(forward.host, port, bound)
    }

    private func connect(_ host: String, _ port: Int, _ pipe: NIOLoopBound<StreamPipe>) -> EventLoopFuture<Void> {
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(Self.timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.stream(channel)
                    try channel.pipeline.syncOperations.addHandler(pipe.value)
                }
            }
        if let address = try? SocketAddress(ipAddress: host, port: port) {
            return bootstrap.connect(to: address).map { _ in }
        }
        return bootstrap.connect(host: host, port: port).map { _ in }
    }

    /// The code that tells the server, and through it the visitor's socket, what happened.
    static func code(_ error: any Error) -> ResetCode {
        if let error = error as? NIOConnectionError {
            guard let first = error.connectionErrors.first else { return .unreachable }
            return code(first.error)
        }
        if case .connectTimeout? = error as? ChannelError { return .timeout }
        switch SocketFailure(error) {
        case .refused?: return .refused
        case .timedOut?: return .timeout
        case .outOfDescriptors?, .outOfMemory?: return .busy
        default: return .unreachable
        }
    }
}
