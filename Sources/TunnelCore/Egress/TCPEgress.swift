import Mux
import NIOCore
import NIOPosix

/// Connects to a local service, on the session's own event loop.
package struct TCPEgress {
    package let loop: any EventLoop
    /// How long a service may take to answer.
    package let timeout: TimeAmount
    private let names: HostNames
    /// For sockets that are connected already: one for all visitors, who need nothing of their own in it.
    private let adopting: NIOLoopBound<ClientBootstrap>

    /// To be made on `loop`.
    package init(loop: any EventLoop, timeout: TimeAmount, names: HostNames = .shared) {
        self.loop = loop
        self.timeout = timeout
        self.names = names
        let bootstrap = ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try SocketOptions.service(channel) }
        }
        adopting = NIOLoopBound(bootstrap, eventLoop: loop)
    }

    /// Connects; the channel is not read before somebody asks for it. `pipe` may lose its interest meanwhile, and
    /// then no further attempt is made.
    package func connect(_ host: String, _ port: UInt16, for pipe: StreamPipe) -> EventLoopFuture<any Channel> {
        let attempts = NIOLoopBound(ConnectAttempts(), eventLoop: loop)
        pipe.connecting { attempts.value.cancel() }
        let port = Int(port)
        // localhost needs no resolver (RFC 6761 section 6.3).
        guard host == "localhost" else { return connect(host, port, attempts) }
        return connect("127.0.0.1", port, attempts).flatMapError { error in
            guard !attempts.value.isCancelled else { return loop.makeFailedFuture(error) }
            return connect("::1", port, attempts).flatMapErrorThrowing { _ in throw error }
        }
    }

    private func connect(
        _ host: String,
        _ port: Int,
        _ attempts: NIOLoopBound<ConnectAttempts>
    ) -> EventLoopFuture<any Channel> {
        let address = try? SocketAddress(ipAddress: host, port: port)
        if let address {
            do {
                // Done at once, so that nobody can lose interest meanwhile.
                if let socket = try LoopbackConnect.connected(to: address) {
                    return adopting.value.withConnectedSocket(socket)
                }
            } catch {
                return loop.makeFailedFuture(error)
            }
        }
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.service(channel)
                    if address == nil { try channel.pipeline.syncOperations.addHandler(ServiceAddressGuard()) }
                    attempts.value.begun(channel)
                }
            }
        if let address { return bootstrap.connect(to: address) }
        return bootstrap.resolver(HostResolver(names, for: .service, on: loop)).connect(host: host, port: port)
    }

    /// What the log says of it.
    package static func reason(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError,
            let forbidden = error.connectionErrors.lazy.compactMap({ $0.error as? ServiceAddressGuard.Forbidden }).first
        {
            return "its name leads to \(forbidden.address), where no service is"
        }
        if let error = error as? NIOConnectionError, let failure = error.nameFailure {
            return
                "the name \(error.host) has no address (\(failure)): check its spelling, and this machine's name server"
        }
        return "\(code(error))"
    }

    /// The code that tells the server, and through it the visitor's socket, what happened.
    package static func code(_ error: any Error) -> ResetCode {
        if let error = error as? NIOConnectionError {
            guard let first = error.connectionErrors.first else {
                return error.nameFailure == .busy ? .busy : .unreachable
            }
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

/// The sockets with which one service is being tried: a name may have several addresses.
private final class ConnectAttempts {
    private var channels: [any Channel] = []
    private(set) var isCancelled = false

    func begun(_ channel: any Channel) {
        channels.append(channel)
        if isCancelled { reset(channel) }
    }

    func cancel() {
        isCancelled = true
        for channel in channels { reset(channel) }
    }

    /// The visitor was reset: a service that had accepted already is to see the same.
    private func reset(_ channel: any Channel) {
        SocketOptions.resetOnClose(channel)
        channel.close(promise: nil)
    }
}
