import Logging
import Mux
import NIOCore
import NIOPosix
import NetworkAddress

/// A UDP port whose datagrams become flows: one for each pair of a sender's address and the address that it asked.
///
/// Replies leave from the address that was asked. On a port of all addresses, each of them gets a socket of its own when it
/// is first asked, since NIO sends no address information.
package final class UDPIngress {
    /// What opens flows.
    package struct Opener {
        /// Takes what a sender writes before each datagram, and what replies have before them too; nil to drop the datagram.
        let takeHeader: (inout ByteBuffer, SocketAddress) -> ByteBuffer?
        /// What the flow of a new sender, or of a new header, belongs to; nil to drop its datagram.
        let open: (SocketAddress, ByteBuffer) -> IngressFlow.Opening?

        /// Flows of datagrams as they are.
        package init(_ open: @escaping (SocketAddress) -> IngressFlow.Opening?) {
            takeHeader = { _, _ in ByteBuffer() }
            self.open = { remote, _ in open(remote) }
        }

        /// Flows of datagrams behind a header. Each header of a sender is a flow of its own.
        package init(
            takeHeader: @escaping (inout ByteBuffer, SocketAddress) -> ByteBuffer?,
            open: @escaping (SocketAddress, ByteBuffer) -> IngressFlow.Opening?
        ) {
            (self.takeHeader, self.open) = (takeHeader, open)
        }
    }

    private struct Key: Hashable {
        let remote: SocketAddress
        let local: IPAddress?
        var header: ByteBuffer
    }

    /// A socket for the replies from one address.
    private enum Reply {
        /// It is being bound; the first datagrams wait.
        case binding([(remote: SocketAddress, data: ByteBuffer)])
        case bound(any Channel)
    }

    /// Datagrams that wait for a socket of their address.
    static let maximumWaiting = 64
    /// Addresses whose rate of new flows is remembered. 4,096: some hundred KiB.
    static let rememberedAddresses = 4_096
    /// Addresses of a port that get a socket of their own. Replies from further ones leave from the system's choice.
    static let maximumReplySockets = 256
    /// Datagrams of one system call. 16: each has room for 64 KiB, for each socket of a port.
    private static let vectorCount = 16
    /// Time between two searches for silent flows.
    private static let searchPeriod = TimeAmount.seconds(1)

    private let loop: any EventLoop
    private let limits: FlowLimits
    private let dropped: DroppedDatagrams
    private let opener: Opener
    private var channels: [any Channel] = []
    private var replies: [IPAddress: Reply] = [:]
    private var flows: [Key: IngressFlow] = [:]
    private var yielding = YieldingFlows()
    private var rate: TokenBucket
    private var rates = AddressRates(remembered: UDPIngress.rememberedAddresses)
    private var timer: Scheduled<Void>?
    private var isClosed = false

    private init(
        _ loop: any EventLoop,
        _ limits: FlowLimits,
        _ dropped: DroppedDatagrams,
        _ opener: Opener
    ) {
        self.loop = loop
        self.dropped = dropped
        self.limits = limits
        self.opener = opener
        let perSecond = Double(limits.perSecond)
        rate = TokenBucket(perSecond: perSecond, burst: perSecond, now: .now)
    }

    /// Binds `port` on the addresses that this machine has of these.
    ///
    /// - Parameters:
    ///   - dropped: counts the datagrams that get no flow.
    /// - Returns: fails with a ``TCPIngress/Failure``.
    package static func bind(
        addresses: [String],
        port: UInt16,
        limits: FlowLimits,
        dropped: DroppedDatagrams,
        loop: any EventLoop,
        opener: Opener
    ) -> EventLoopFuture<UDPIngress> {
        let ingress = NIOLoopBound(UDPIngress(loop, limits, dropped, opener), eventLoop: loop)
        var bound = loop.makeSucceededFuture(())
        for address in addresses {
            let isLast = address == addresses.last
            bound = bound.flatMap {
                // The second address gets the port that the system has chosen for the first.
                let present = ingress.value.port
                return ingress.value.open(address, present == 0 ? port : present)
                    .map { ingress.value.channels.append($0) }
                    .flatMapErrorThrowing { error in
                        let isFamilyMissing =
                            switch SocketFailure(error) {
                            case .addressMissing?, .familyMissing?: true
                            default: false
                            }
                        guard isFamilyMissing, !isLast || !ingress.value.channels.isEmpty else {
                            throw TCPIngress.Failure(address: address, error: error)
                        }
                    }
            }
        }
        let result = loop.makePromise(of: NIOLoopBound<UDPIngress>.self)
        bound.whenComplete { outcome in
            switch outcome {
            case .success:
                ingress.value.searchSilent()
                result.succeed(ingress)
            case .failure(let error):
                ingress.value.close().assumeIsolated().whenComplete { _ in result.fail(error) }
            }
        }
        return result.futureResult.map(\.value)
    }

    /// The port; 0 before it is bound.
    package var port: UInt16 { channels.first?.localAddress?.port.flatMap { UInt16(exactly: $0) } ?? 0 }

    /// The addresses that are bound, separated by spaces.
    package var addresses: String { channels.compactMap { $0.localAddress?.ipAddress }.joined(separator: " ") }

    /// Flows now.
    package var count: Int { flows.count }

    /// Gives the port up, and ends its flows; done when the kernel has released it.
    package func close() -> EventLoopFuture<Void> {
        isClosed = true
        timer?.cancel()
        for flow in flows.values { flow.expire(.goingAway) }
        flows = [:]
        var closing = channels
        for case .bound(let channel) in replies.values where !channels.contains(where: { $0 === channel }) {
            closing.append(channel)
        }
        replies = [:]
        return EventLoopFuture.andAllComplete(
            closing.map { channel in
                channel.close(promise: nil)
                return channel.closeFuture
            },
            on: loop
        )
    }

    /// Binds one address of the port.
    ///
    /// A socket for all addresses is bound alone, so that no other program has the port. Only then sockets of single
    /// addresses may join it.
    ///
    /// - Parameter isReply: whether the socket joins one for all addresses.
    private func open(_ address: String, _ port: UInt16, isReply: Bool = false) -> EventLoopFuture<any Channel> {
        let this = NIOLoopBound(self, eventLoop: loop)
        let isForAll = address == "0.0.0.0" || address == "::"
        var bootstrap = DatagramBootstrap(group: loop)
            .channelOption(.datagramVectorReadMessageCount, value: Self.vectorCount)
            .channelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: Self.vectorCount * 65_536)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    DescriptorCount.shared.track(channel)
                    try channel.pipeline.syncOperations.addHandler(Receiver(this.value, isForAll: isForAll))
                }
            }
        if isForAll { bootstrap = bootstrap.channelOption(.receivePacketInfo, value: true) }
        if isReply { bootstrap = bootstrap.channelOption(.socketOption(.so_reuseaddr), value: 1) }
        if address.contains(":") {
            bootstrap = bootstrap.channelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only),
                value: 1
            )
        }
        do {
            let bound = bootstrap.bind(to: try SocketAddress(ipAddress: address, port: Int(port)))
            guard isForAll else { return bound }
            return bound.flatMap { channel in
                channel.setOption(.socketOption(.so_reuseaddr), value: 1).map { channel }
            }
        } catch {
            return loop.makeFailedFuture(error)
        }
    }

    // MARK: Datagrams

    /// A datagram has come at a socket.
    ///
    /// - Parameter local: the address that was asked, if the socket is for all addresses.
    fileprivate func received(
        _ data: ByteBuffer,
        from remote: SocketAddress,
        at local: IPAddress?,
        _ channel: any Channel
    ) {
        guard !isClosed else { return }
        guard let local else { return forward(data, remote, nil, channel) }
        switch replies[local] {
        case .bound(let reply):
            forward(data, remote, local, reply)
        case .binding(var waiting):
            guard waiting.count < Self.maximumWaiting else { return dropped.add(.socket) }
            waiting.append((remote, data))
            replies[local] = .binding(waiting)
        case nil where replies.count >= Self.maximumReplySockets:
            forward(data, remote, local, channel)
        case nil:
            replies[local] = .binding([(remote, data)])
            open("\(local)", port, isReply: true).assumeIsolated().whenComplete { result in
                let own = try? result.get()
                guard case .binding(let waiting)? = self.replies[local] else {
                    // The port was closed meanwhile.
                    own?.close(promise: nil)
                    return
                }
                // Without a socket of its own, the address is left to the system.
                let reply = own ?? channel
                self.replies[local] = .bound(reply)
                for datagram in waiting { self.forward(datagram.data, datagram.remote, local, reply) }
            }
        }
    }

    private func forward(_ data: ByteBuffer, _ remote: SocketAddress, _ local: IPAddress?, _ reply: any Channel) {
        var data = data
        guard let header = opener.takeHeader(&data, remote) else { return dropped.add(.flows) }
        var key = Key(remote: remote, local: local ?? reply.localAddress?.ip, header: header)
        if let flow = flows[key] { return flow.received(data) }
        key.header = header.dense(from: 2)
        let isAdmitted = remote.ip.map { rates.admits($0, perSecond: limits.perSecondOfAddress, now: .now) } ?? true
        guard isAdmitted, rate.takeOne(now: .now), makeRoom(), let opening = opener.open(remote, header) else {
            return dropped.add(.flows)
        }
        let flow = IngressFlow(remote, opening, reply, header: key.header, silence: limits.silences) {
            [weak self, key] in
            self?.flows[key] = nil
        }
        guard flow.begin() else { return dropped.add(.flows) }
        flows[key] = flow
        flow.received(data)
        yielding.append(flow)
    }

    /// Ends a flow that gives way if there are too many.
    private func makeRoom() -> Bool {
        guard flows.count >= limits.perPort else { return true }
        guard let oldest = yielding.takeOldest() else { return false }
        oldest.expire(.timeout)
        return true
    }

    private func searchSilent() {
        guard !isClosed else { return }
        timer = loop.assumeIsolated().scheduleTask(in: Self.searchPeriod) {
            let now = Instant.now
            for flow in self.flows.values where flow.deadline <= now { flow.expire(.timeout) }
            self.yielding.forgetEnded(living: self.flows.count)
            self.searchSilent()
        }
    }

    /// The sockets' handler.
    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        private let ingress: UDPIngress
        private let isForAll: Bool

        init(_ ingress: UDPIngress, isForAll: Bool) {
            self.ingress = ingress
            self.isForAll = isForAll
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            let local = isForAll ? envelope.metadata?.packetInfo?.destinationAddress.ip?.unmapped : nil
            ingress.received(envelope.data, from: envelope.remoteAddress, at: local, context.channel)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            // An unreachable sender is reported here too; the port stays open.
        }
    }
}
