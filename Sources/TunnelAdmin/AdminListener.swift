import HTTP1
import NIOCore
import NIOPosix
import TunnelCore

/// One address of the admin server.
package struct AdminListener: Sendable {
    /// The address, with the port that the system has chosen.
    package let address: ListenAddress
    private let channel: any Channel
    /// The file of a unix socket.
    private let file: FileIdentity?

    private init(_ address: ListenAddress, _ channel: any Channel) {
        self.channel = channel
        switch address {
        case .tcp(let host, _):
            let port = channel.localAddress?.port.map { UInt16(truncatingIfNeeded: $0) }
            self.address = .tcp(host: host, port: port ?? 0)
            file = nil
        case .unix(let path):
            self.address = address
            file = FileIdentity(socketAt: path)
        }
    }

    /// Binds and listens. All connections live on one loop, where they can be counted without locks.
    ///
    /// - Parameters:
    ///   - limits: returns the present limits; called for each connection.
    ///   - answers: decides how a request is answered.
    /// - Throws: ``UnixListener/Failure``, or the system's error.
    package static func open(
        _ address: ListenAddress,
        on loop: any EventLoop,
        limits: @escaping @Sendable () -> AdminLimits,
        answers: @escaping @Sendable (RequestHead) -> AdminAnswer
    ) async throws -> AdminListener {
        let slots = NIOLoopBoundBox.makeBoxSendingValue(AdminSlots(), eventLoop: loop)
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: UnixListener.backlog)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptGate()) }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let limits = limits()
                let address = channel.remoteAddress?.ip
                guard slots.value.enter(address, limits) else { return channel.close() }
                channel.closeFuture.whenComplete { _ in slots.value.leave(address) }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AdminConnection(timeout: TimeAmount(limits.timeout), answers: answers)
                    )
                }
            }
        switch address {
        case .tcp(let host, let port):
            let tcp = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            let name = host == "localhost" ? "127.0.0.1" : host
            return AdminListener(address, try await tcp.bind(host: name, port: Int(port)).get())
        case .unix(let path):
            try await UnixListener.makeWay(at: path, on: loop).get()
            return AdminListener(address, try await bootstrap.withBoundSocket(try UnixListener.open(path)).get())
        }
    }

    /// Succeeds when it does not listen any more.
    package var ended: EventLoopFuture<Void> { channel.closeFuture }

    /// Stops listening, and removes the file of a unix socket.
    package func close() async {
        if case .unix(let path) = address { UnixListener.remove(path, if: file) }
        try? await channel.close()
    }
}

extension ListenAddress {
    /// Whether it is a socket in the file system, whose mode decides which users may connect.
    package var isUnix: Bool {
        if case .unix = self { true } else { false }
    }
}
