import Logging
import Mux
import NIOCore
import NIOPosix

/// The public sockets of one tunnel, bound on the session's own event loop, so that a visitor's bytes never change
/// threads.
package final class TCPIngress {
    /// Burst of connections, in seconds of the rate.
    package static let burst = 0.1

    /// Descriptors before the limit from which a port takes its visitors one by one. Eight: twice what NIO accepts in one
    /// iteration. Twice as many must be free before it takes them as usual again.
    package static let scarceDescriptors = 8
    /// Time between two checks of the descriptors while they are scarce.
    private static let supplyPeriod = TimeAmount.seconds(1)

    private enum Supply {
        case plenty
        case scarce
    }

    package let tunnel: UInt16
    /// The port, the same on all addresses.
    package let port: UInt16
    /// The addresses that were asked for; a machine without one of the families lacks some.
    package let requestedAddresses: Set<String>
    private let channels: [any Channel]
    private let gates: [AcceptGate]
    private let descriptors: DescriptorCount
    private let logger: Logger
    private var supply = Supply.plenty
    /// How many visitors a second are accepted, over all addresses.
    private var rate: TokenBucket
    /// The first descriptor that is for others than visitors.
    private let highestDescriptor: Int

    private init(
        tunnel: UInt16,
        port: UInt16,
        addresses: [String],
        channels: [any Channel],
        limits: IngressLimits,
        descriptors: DescriptorCount,
        logger: Logger
    ) {
        requestedAddresses = Set(addresses)
        let maximum = ProcessUsage.descriptorLimit ?? .max
        highestDescriptor = max(maximum - limits.reservedDescriptors, maximum / 2)
        let perSecond = Double(limits.connectionsPerSecond)
        rate = TokenBucket(perSecond: perSecond, burst: perSecond * Self.burst, now: .now)
        self.tunnel = tunnel
        self.port = port
        self.channels = channels
        self.gates = channels.compactMap { try? $0.pipeline.syncOperations.handler(type: AcceptGate.self) }
        self.descriptors = descriptors
        self.logger = logger
        descriptors.countOthers()
        for gate in gates {
            gate.hasDescriptor = { [highestDescriptor] in descriptors.inUse <= highestDescriptor }
            gate.onAccepted = { [weak self] in self?.accepted() }
            gate.onShortage = { [weak self] in self?.descriptorsAreScarce() }
        }
    }

    /// Binds `port` on every one of `addresses`.
    ///
    /// The bind is the check. If the addresses stand for both families, the machine may lack one of them. Any other
    /// failure leaves nothing bound.
    ///
    /// - Returns: fails with a ``Failure``.
    package static func bind(
        tunnel: UInt16,
        addresses: [String],
        port: UInt16,
        limits: IngressLimits,
        loop: any EventLoop,
        descriptors: DescriptorCount = .shared,
        logger: Logger,
        onVisitor: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<TCPIngress> {
        let visitor = NIOLoopBound(onVisitor, eventLoop: loop)
        var bound = loop.makeSucceededFuture([any Channel]())
        for address in addresses {
            bound = bound.flatMap { channels in
                bind(address, port, limits, loop, descriptors, visitor).map { channels + [$0] }.flatMapError { error in
                    let isLast = address == addresses.last
                    if standsForFamily(address), isMissing(error), !isLast || !channels.isEmpty {
                        return loop.makeSucceededFuture(channels)
                    }
                    // Once these are closed, the port is free again.
                    let closed = channels.map { channel in channel.close().flatMapError { _ in channel.closeFuture } }
                    return EventLoopFuture.andAllComplete(closed, on: loop).flatMapThrowing { _ in
                        throw Failure(address: address, error: error)
                    }
                }
            }
        }
        let listener = bound.map {
            NIOLoopBound(
                TCPIngress(
                    tunnel: tunnel,
                    port: port,
                    addresses: addresses,
                    channels: $0,
                    limits: limits,
                    descriptors: descriptors,
                    logger: logger
                ),
                eventLoop: loop
            )
        }
        return listener.map(\.value)
    }

    /// Binds one address; an IPv6 one takes no IPv4 visitors, so that both can be bound side by side.
    private static func bind(
        _ address: String,
        _ port: UInt16,
        _ limits: IngressLimits,
        _ loop: any EventLoop,
        _ descriptors: DescriptorCount,
        _ visitor: NIOLoopBound<(any Channel) throws -> Void>
    ) -> EventLoopFuture<any Channel> {
        var bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: Int32(clamping: limits.listenQueue))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.publicPort(channel)
                    // Accepted sockets inherit it: if the process ends, a stream that was cut must not look complete.
                    SocketOptions.resetOnClose(channel)
                    try channel.pipeline.syncOperations.addHandler(AcceptGate(descriptors: descriptors))
                }
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

    /// Why a port could not be bound.
    package struct Failure: Error {
        /// The address that could not be bound.
        package let address: String
        package let error: any Error
    }

    private static func standsForFamily(_ address: String) -> Bool {
        ["0.0.0.0", "::", "127.0.0.1", "::1"].contains(address)
    }

    /// Whether the machine lacks the family, or this address of it.
    private static func isMissing(_ error: any Error) -> Bool {
        switch SocketFailure(error) {
        case .addressMissing?, .familyMissing?: true
        default: false
        }
    }

    /// Whether visitors are accepted; otherwise they wait in the kernel's queue.
    package var isAccepting = true {
        didSet {
            for gate in gates { gate.isWanted = isAccepting }
        }
    }

    /// A visitor was accepted. If visitors arrive too fast, or if descriptors are scarce, the next ones wait in the kernel's
    /// queue.
    private func accepted() {
        let seconds = rate.overdraw(1, now: .now)
        if seconds > 0 { rest(for: .nanoseconds(Int64(seconds * 1e9))) }
        if descriptors.inUse > highestDescriptor - Self.scarceDescriptors { descriptorsAreScarce() }
        if descriptors.inUse > highestDescriptor { rest(for: AcceptGate.withoutDescriptors) }
    }

    private func rest(for time: TimeAmount) {
        for gate in gates { gate.rest(for: time) }
    }

    /// Takes visitors one by one until there are descriptors again.
    private func descriptorsAreScarce() {
        guard case .plenty = supply, let loop = channels.first?.eventLoop else { return }
        supply = .scarce
        for gate in gates { gate.acceptsSingly = true }
        logger.warning("few descriptors are left; a port takes its visitors one by one", metadata: supplyMetadata)
        watchSupply(loop)
    }

    private func watchSupply(_ loop: any EventLoop) {
        loop.assumeIsolated().scheduleTask(in: Self.supplyPeriod) { [weak self] in
            guard let self, self.channels.contains(where: \.isActive) else { return }
            // Carriers and listening sockets may have come or gone since they were counted.
            self.descriptors.countOthers()
            guard self.descriptors.inUse <= self.highestDescriptor - 2 * Self.scarceDescriptors else {
                return self.watchSupply(loop)
            }
            self.supply = .plenty
            for gate in self.gates { gate.acceptsSingly = false }
            self.logger.notice(
                "descriptors are free again; a port takes its visitors as usual",
                metadata: self.supplyMetadata
            )
        }
    }

    private var supplyMetadata: Logger.Metadata {
        [
            "port": .number(port), "tunnel": "\(tunnel)", "descriptors": .number(descriptors.inUse),
            "for_visitors": .number(highestDescriptor),
        ]
    }

    /// The port that is bound: the system's choice if 0 was asked for.
    package var boundPort: UInt16 {
        channels.first?.localAddress?.port.flatMap { UInt16(exactly: $0) } ?? port
    }

    /// The addresses that are bound, separated by spaces.
    package var addresses: String { channels.compactMap { $0.localAddress?.ipAddress }.joined(separator: " ") }

    /// Gives the port up; done when the kernel has.
    package func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        EventLoopFuture.andAllComplete(
            channels.map { channel in
                channel.close(promise: nil)
                return channel.closeFuture
            },
            on: loop
        )
    }
}

/// What a public port is held to.
package struct IngressLimits: Sendable {
    /// Connections in the kernel's queue.
    package let listenQueue: Int
    /// Connections accepted in a second.
    package let connectionsPerSecond: Int
    /// Descriptors that are kept for other uses than visitors.
    package let reservedDescriptors: Int

    package init(listenQueue: Int, connectionsPerSecond: Int, reservedDescriptors: Int) {
        self.listenQueue = listenQueue
        self.connectionsPerSecond = connectionsPerSecond
        self.reservedDescriptors = reservedDescriptors
    }
}
