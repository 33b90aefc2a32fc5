import Logging
import NIOCore
import NIOPosix
import TunnelCore

/// The HTTP server for operators of a running role. ``AdminRouter`` lists its requests.
///
/// It shares an event loop with the traffic and never blocks it: a request that concerns several loops asks each of them.
package final class AdminServer: Sendable {
    /// The address on which it listens, with the port that the system has chosen.
    package let address: ListenAddress
    private let channel: any Channel
    private let loops: EventLoopMonitor
    /// The file of a unix socket.
    private let file: FileIdentity?

    private init(address: ListenAddress, channel: any Channel, loops: EventLoopMonitor) {
        self.address = address
        self.channel = channel
        self.loops = loops
        file = if case .unix(let path) = address { FileIdentity(socketAt: path) } else { nil }
    }

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - role: the server or client that answers.
    ///   - metrics: returns the metrics in Prometheus' text format; nil if the program collects none.
    ///   - group: the event loops of the role, which are monitored. One of them serves the operator's connections.
    ///   - limits: returns the present limits; called for each connection.
    /// - Throws: ``UnixListener/Failure``, or the system's error.
    package static func start(
        _ address: ListenAddress,
        role: any AdminTarget,
        metrics: (@Sendable () -> String)?,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        limits: @escaping @Sendable () -> AdminLimits,
        logger: Logger
    ) async throws -> AdminServer {
        let loops = EventLoopMonitor(loops: Array(group.makeIterator()), now: .now)
        let responder = AdminResponder(role: role, loops: loops, metrics: metrics)
        do {
            let channel = try await listen(address, responder, on: group.next(), limits)
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

    /// Stops listening and removes the file of a unix socket.
    package func stop() async {
        loops.stop()
        if case .unix(let path) = address { UnixListener.remove(path, if: file) }
        try? await channel.close()
    }

    private static func listen(
        _ address: ListenAddress,
        _ responder: AdminResponder,
        on loop: any EventLoop,
        _ limits: @escaping @Sendable () -> AdminLimits
    ) async throws -> any Channel {
        let router = AdminRouter(isPrivate: address.isUnix, isLocal: address.isLocal)
        let slots = NIOLoopBoundBox.makeBoxSendingValue(AdminSlots(), eventLoop: loop)
        // All connections live on one loop, where they can be counted without locks.
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
                        AdminConnection(router: router, responder: responder, timeout: TimeAmount(limits.timeout))
                    )
                }
            }
        switch address {
        case .tcp(let host, let port):
            let tcp = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            return try await tcp.bind(host: host == "localhost" ? "127.0.0.1" : host, port: Int(port)).get()
        case .unix(let path):
            try await UnixListener.makeWay(at: path, on: loop).get()
            return try await bootstrap.withBoundSocket(try UnixListener.open(path)).get()
        }
    }
}

extension ListenAddress {
    /// Whether it is a socket in the file system, whose mode decides which users may connect.
    package var isUnix: Bool {
        if case .unix = self { true } else { false }
    }
}
