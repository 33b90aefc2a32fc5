import Logging
import Mux
import NIOCore
import NIOPosix

/// The public sockets of one tunnel: bound on the session's own event loop, so that a visitor's bytes never change
/// threads.
final class PublicListener {
    /// How many may come at once, in seconds of the rate.
    private static let burst = 0.1

    let tunnel: UInt16
    /// The port, the same on all addresses.
    let port: UInt16
    private let channels: [any Channel]
    private let pauses: [AcceptPause]
    /// How many visitors a second are accepted, over all addresses.
    private var rate: TokenBucket

    private init(tunnel: UInt16, port: UInt16, channels: [any Channel], limits: ServerLimits) {
        let perSecond = Double(limits.visitorsPerSecond)
        rate = TokenBucket(perSecond: perSecond, burst: perSecond * Self.burst, now: .now)
        self.tunnel = tunnel
        self.port = port
        self.channels = channels
        self.pauses = channels.compactMap { try? $0.pipeline.syncOperations.handler(type: AcceptPause.self) }
        for pause in pauses { pause.onAccepted = { [weak self] in self?.accepted() } }
    }

    /// Binds `port` on every one of `addresses`.
    ///
    /// The bind is the check. All IPv6 addresses may be missing on a machine without IPv6; everything else fails, and
    /// leaves nothing bound.
    static func bind(
        tunnel: UInt16,
        addresses: [String],
        port: UInt16,
        limits: ServerLimits,
        loop: any EventLoop,
        onVisitor: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<PublicListener> {
        let visitor = NIOLoopBound(onVisitor, eventLoop: loop)
        var bound = loop.makeSucceededFuture([any Channel]())
        for address in addresses {
            bound = bound.flatMap { channels in
                bind(address, port, limits, loop, visitor).map { channels + [$0] }.flatMapError { error in
                    if addresses.count > 1, address.contains(":"), isMissing(error) {
                        return loop.makeSucceededFuture(channels)
                    }
                    for channel in channels { channel.close(promise: nil) }
                    return loop.makeFailedFuture(error)
                }
            }
        }
        let listener = bound.map {
            NIOLoopBound(PublicListener(tunnel: tunnel, port: port, channels: $0, limits: limits), eventLoop: loop)
        }
        return listener.map(\.value)
    }

    /// Binds one address; an IPv6 one takes no IPv4 visitors, so that both can be bound side by side.
    private static func bind(
        _ address: String,
        _ port: UInt16,
        _ limits: ServerLimits,
        _ loop: any EventLoop,
        _ visitor: NIOLoopBound<(any Channel) throws -> Void>
    ) -> EventLoopFuture<any Channel> {
        var bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: Int32(clamping: limits.publicListenQueue))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptPause()) }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try visitor.value(channel) }
            }
        if address.contains(":") {
            bootstrap = bootstrap.serverChannelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only),
                value: 1
            )
        }
        do {
            return bootstrap.bind(to: try SocketAddress(ipAddress: address, port: Int(port)))
        } catch {
            return loop.makeFailedFuture(error)
        }
    }

    /// The machine has no IPv6, or not that address of it.
    private static func isMissing(_ error: any Error) -> Bool {
        switch SocketFailure(error) {
        case .addressMissing?, .familyMissing?: true
        default: false
        }
    }

    /// Whether visitors are taken, or wait in the kernel's queue.
    var isAccepting = true {
        didSet {
            for pause in pauses { pause.isWanted = isAccepting }
        }
    }

    /// Visitors that come faster than they may wait in the kernel's queue.
    private func accepted() {
        let seconds = rate.overdraw(1, now: .now)
        guard seconds > 0 else { return }
        for pause in pauses { pause.rest(for: .nanoseconds(Int64(seconds * 1e9))) }
    }

    /// The address to report: the first one bound.
    var address: SocketAddress? { channels.first?.localAddress }

    /// Gives the port up; done when the kernel has.
    func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        EventLoopFuture.andAllComplete(
            channels.map { channel in
                channel.close(promise: nil)
                return channel.closeFuture
            },
            on: loop
        )
    }
}
