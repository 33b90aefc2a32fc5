import Logging
import NIOCore
import NIOPosix
import TunnelCore

/// The operator's own door to a running role, in plain HTTP/1.1: see ``AdminRouter`` for what it answers.
///
/// It shares an event loop with the traffic and never waits on it: what takes several loops is asked of each of them.
package final class AdminServer: Sendable {
    /// Where it listens, with the port that the system has chosen.
    package let address: ListenAddress
    private let channel: any Channel
    private let loops: EventLoopMonitor

    private init(address: ListenAddress, channel: any Channel, loops: EventLoopMonitor) {
        self.address = address
        self.channel = channel
        self.loops = loops
    }

    /// Starts to listen.
    ///
    /// - Parameter limits: what the door bears now; asked for each connection.
    /// - Throws: ``UnixListener/Failure``, or the system's error.
    package static func start(
        _ address: ListenAddress,
        role: any AdminTarget,
        metrics: (@Sendable () -> String)?,
        group: any EventLoopGroup,
        limits: @escaping @Sendable () -> AdminLimits,
        logger: Logger
    ) async throws -> AdminServer {
        let loops = EventLoopMonitor(loops: Array(group.makeIterator()), now: .now)
        let desk = AdminResponder(role: role, loops: loops, metrics: metrics)
        do {
            let channel = try await listen(address, desk, on: group.next(), limits)
            var bound = address
            if case .tcp(let host, _) = address, let port = channel.localAddress?.port {
                bound = .tcp(host: host, port: UInt16(truncatingIfNeeded: port))
            }
            if !address.isLocal {
                logger.warning("the admin address can be reached from other machines: /metrics is open to them")
            }
            logger.notice("admin listening", metadata: ["address": "\(bound)"])
            return AdminServer(address: bound, channel: channel, loops: loops)
        } catch {
            loops.stop()
            throw error
        }
    }

    /// Listens no more; the file of a unix socket is removed.
    package func stop() async {
        loops.stop()
        if case .unix(let path) = address { UnixListener.remove(path) }
        try? await channel.close()
    }

    private static func listen(
        _ address: ListenAddress,
        _ desk: AdminResponder,
        on loop: any EventLoop,
        _ limits: @escaping @Sendable () -> AdminLimits
    ) async throws -> any Channel {
        let router = AdminRouter(isPrivate: address.isUnix, isLocal: address.isLocal)
        let places = NIOLoopBoundBox.makeBoxSendingValue(AdminSlots(), eventLoop: loop)
        // All of it on one loop, so that the connections can be counted.
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: UnixListener.backlog)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptGate()) }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let limits = limits()
                let address = channel.remoteAddress?.ip
                guard places.value.enter(address, limits) else { return channel.close() }
                channel.closeFuture.whenComplete { _ in places.value.leave(address) }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AdminConnection(router: router, desk: desk, timeout: TimeAmount(limits.timeout))
                    )
                }
            }
        switch address {
        case .tcp(let host, let port):
            let tcp = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            return try await tcp.bind(host: host == "localhost" ? "127.0.0.1" : host, port: Int(port)).get()
        case .unix(let path):
            if let other = try? await ClientBootstrap(group: loop).connect(unixDomainSocketPath: path).get() {
                try? await other.close()
                throw UnixListener.Failure(description: "another program answers there")
            }
            return try await bootstrap.withBoundSocket(try UnixListener.open(path)).get()
        }
    }
}

extension ListenAddress {
    /// Whether it is a socket in the file system, where a file's mode decides who may connect.
    package var isUnix: Bool {
        if case .unix = self { true } else { false }
    }
}
