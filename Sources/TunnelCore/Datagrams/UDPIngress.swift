import Logging
import Mux
import NIOCore
import NetworkAddress

/// A UDP port whose datagrams become flows: one for each pair of a sender's address and the address that it asked.
///
/// Replies leave from the address that was asked. On a port of all addresses, each of the first ones gets a socket of its
/// own when it is first asked, since NIO sends no address information.
package final class UDPIngress {
    private struct Key: Hashable {
        let remote: SocketAddress
        let local: IPAddress?
        var header: ByteBuffer
    }

    /// A socket for the replies from one address.
    private enum Reply {
        /// It is being bound; the first datagrams wait.
        case binding([(remote: SocketAddress, data: ByteBuffer)])
        case bound(PortSocket)
    }

    /// Datagrams that wait for a socket of their address.
    static let maximumWaiting = 64
    /// Addresses whose rate of new flows is remembered. 4,096: some hundred KiB.
    static let rememberedAddresses = 4_096
    /// Addresses of a port that get a socket of their own. Replies from further ones leave from the system's choice.
    static let maximumReplySockets = 64
    /// Time between two searches for silent flows.
    private static let searchPeriod = TimeAmount.seconds(1)

    private let loop: any EventLoop
    private let limits: FlowLimits
    private let dropped: DroppedDatagrams
    private let opener: Opener
    private var sockets: [PortSocket] = []
    private var replies: [IPAddress: Reply] = [:]
    /// Sockets that are being bound, so that the port is free once they are closed too.
    private var pendingBinds = 0
    private var flows: [Key: IngressFlow] = [:]
    private var yielding = YieldingFlows()
    private var rate: TokenBucket
    private var rates = AddressRates(remembered: UDPIngress.rememberedAddresses)
    private var timer: Scheduled<Void>?
    private var closed: EventLoopPromise<Void>?

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
    ///   - addresses: IP addresses; those of a family that the machine lacks are left out.
    ///   - port: 0 for one that the system chooses.
    ///   - dropped: counts the datagrams that get no flow.
    ///   - opener: opens the flows.
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
                    .flatMapThrowing { channel in
                        ingress.value.sockets.append(try ingress.value.socket(channel))
                    }
                    .flatMapErrorThrowing { error in
                        let isFamilyMissing =
                            switch SocketFailure(error) {
                            case .addressMissing?, .familyMissing?: true
                            default: false
                            }
                        guard isFamilyMissing, !isLast || !ingress.value.sockets.isEmpty else {
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
    package var port: UInt16 { sockets.first?.port ?? 0 }

    /// The addresses that are bound, separated by spaces.
    package var addresses: String {
        sockets.compactMap { $0.channel.localAddress?.ipAddress }.joined(separator: " ")
    }

    /// Gives the port up, and ends its flows; done when the kernel has released it.
    package func close() -> EventLoopFuture<Void> {
        if let closed { return closed.futureResult }
        let promise = loop.makePromise(of: Void.self)
        closed = promise
        timer?.cancel()
        for flow in flows.values { flow.expire(.goingAway) }
        flows = [:]
        var closing = sockets.map { $0.close() }
        for case .bound(let socket) in replies.values where !sockets.contains(where: { $0 === socket }) {
            closing.append(socket.close())
        }
        replies = [:]
        pendingBinds += 1
        EventLoopFuture.andAllComplete(closing, on: loop).assumeIsolated().whenComplete { _ in self.bindEnded() }
        return promise.futureResult
    }

    private func bindEnded() {
        pendingBinds -= 1
        if pendingBinds == 0 { closed?.succeed(()) }
    }

    /// Binds one address of the port.
    ///
    /// - Parameter joins: whether the socket joins one for all addresses.
    private func open(_ address: String, _ port: UInt16, joins: Bool = false) -> EventLoopFuture<any Channel> {
        let this = NIOLoopBound(self, eventLoop: loop)
        let isForAll = address == "0.0.0.0" || address == "::"
        return PortSocket.bind(address, port, isForAll: isForAll, joins: joins, on: loop) {
            Receiver(this.value, isForAll: isForAll)
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
        _ socket: PortSocket
    ) {
        // A sender without a port is forged.
        guard closed == nil, remote.port != 0 else { return }
        guard let local else { return forward(data, remote, nil, socket) }
        switch replies[local] {
        case .bound(let reply):
            forward(data, remote, local, reply)
        case .binding(var waiting):
            guard waiting.count < Self.maximumWaiting else { return dropped.add(.socket) }
            waiting.append((remote, data.dense(from: 2)))
            replies[local] = .binding(waiting)
        case nil where replies.count >= Self.maximumReplySockets:
            forward(data, remote, local, socket)
        case nil:
            replies[local] = .binding([(remote, data.dense(from: 2))])
            bindReply(local, beside: socket)
        }
    }

    private func socket(_ channel: any Channel, isShared: Bool = false) throws -> PortSocket {
        let socket = try PortSocket(channel, dropped, isShared: isShared)
        try channel.pipeline.syncOperations.handler(type: Receiver.self).socket = socket
        return socket
    }

    /// Binds a socket for the replies from an address beside the one for all addresses.
    private func bindReply(_ local: IPAddress, beside socket: PortSocket) {
        pendingBinds += 1
        socket.joining += 1
        open("\(local)", port, joins: true).assumeIsolated().whenComplete { result in
            let own = (try? result.get()).flatMap { try? self.socket($0, isShared: true) }
            own?.isShared = false
            socket.joining -= 1
            if case .binding(let waiting)? = self.replies[local] {
                // Without a socket of its own, the address is left to the system.
                let reply = own ?? socket
                self.replies[local] = .bound(reply)
                for datagram in waiting { self.forward(datagram.data, datagram.remote, local, reply) }
                self.bindEnded()
            } else {
                // The port was closed meanwhile.
                let closed = own?.close() ?? self.loop.makeSucceededVoidFuture()
                closed.assumeIsolated().whenComplete { _ in self.bindEnded() }
            }
        }
    }

    private func forward(_ data: ByteBuffer, _ remote: SocketAddress, _ local: IPAddress?, _ reply: PortSocket) {
        var data = data
        guard let header = opener.takeHeader(&data, remote) else { return dropped.add(.flows) }
        var key = Key(remote: remote, local: local ?? reply.channel.localAddress?.ip, header: header)
        if let flow = flows[key] { return flow.received(data) }
        key.header = header.dense(from: 2)
        guard let flow = begin(key, reply) else { return dropped.add(.flows) }
        flow.received(data)
        yielding.append(flow)
    }

    /// Begins the flow of a new sender, in place of an older one if there is no room.
    private func begin(_ key: Key, _ reply: PortSocket) -> IngressFlow? {
        var admission = opener.open(key.remote, key.header)
        if case .full = admission, yield() { admission = opener.open(key.remote, key.header) }
        guard case .flow(let opening) = admission else { return nil }
        let flow = IngressFlow(key.remote, opening, reply, header: key.header, silence: limits.silences) {
            [weak self] in
            self?.flows[key] = nil
        }
        guard isInTime(key.remote), flows.count < limits.perPort || yield(), flow.begin() || yield() && flow.begin()
        else {
            flow.abandon()
            return nil
        }
        flows[key] = flow
        return flow
    }

    /// Whether a new flow is within the rates of the port, and of its sender's address.
    private func isInTime(_ remote: SocketAddress) -> Bool {
        let now = Instant.now
        guard remote.ip.map({ rates.admits($0, perSecond: limits.perSecondOfAddress, now: now) }) ?? true else {
            return false
        }
        return rate.takeOne(now: now)
    }

    /// Ends a flow that gives way.
    ///
    /// - Returns: false if there is none.
    private func yield() -> Bool {
        guard let oldest = yielding.takeOldest() else { return false }
        oldest.expire(.timeout)
        return true
    }

    private func searchSilent() {
        guard closed == nil else { return }
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
        var socket: PortSocket?

        init(_ ingress: UDPIngress, isForAll: Bool) {
            self.ingress = ingress
            self.isForAll = isForAll
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard let socket else { return }
            let envelope = unwrapInboundIn(data)
            let local = isForAll ? envelope.metadata?.packetInfo?.destinationAddress.ip?.unmapped : nil
            ingress.received(envelope.data, from: envelope.remoteAddress, at: local, socket)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            // An unreachable sender is reported here too; the port stays open.
        }
    }
}
