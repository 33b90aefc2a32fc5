import Logging
import Mux
import NIOCore
import NIOPosix
import NetworkAddress
import Platform

/// A flow that this end sends to a destination, by a connected UDP socket of its own.
///
/// ICMP's "port unreachable" comes as an error of the socket, and resets the flow as refused.
package final class EgressFlow: ChannelInboundHandler, DatagramFlow, CountedStream {
    package typealias InboundIn = AddressedEnvelope<ByteBuffer>
    package typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private enum State {
        /// The destination is looked up, or the socket is made: datagrams wait.
        case waiting(WaitingDatagrams)
        case open(ChannelHandlerContext, SocketAddress)
        case ended
    }

    /// Its socket, and the buffers that NIO keeps for it: 9 KiB with usual datagrams, and more with large ones.
    package let cost = 16_384
    private let session: SessionLoop
    private let stream: StreamID
    package let identity: StreamIdentity
    private let logger: Logger
    private let policy: StreamPolicy
    private let onEnd: () -> Void
    private var state = State.waiting(WaitingDatagrams())
    /// Called when the destination answers for the first time.
    package var onAnswer: (() -> Void)?
    /// Called if the destination has no program at the port, or cannot be reached any more.
    package var onFailure: ((ResetCode) -> Void)?
    private var silence: FlowSilence
    private var timer: Scheduled<Void>?
    private let buffer = DatagramBuffer()
    private var counts = StreamPipe.ByteCounts()

    /// - Parameter onEnd: called once the flow is over.
    package init(
        _ session: SessionLoop,
        _ stream: StreamID,
        identity: StreamIdentity,
        silence limits: FlowSilence.Limits,
        policy: StreamPolicy = .unbounded,
        logger: Logger,
        onEnd: @escaping () -> Void
    ) {
        self.session = session
        self.stream = stream
        self.identity = identity
        self.policy = policy
        self.logger = logger
        self.onEnd = onEnd
        silence = FlowSilence(limits, now: .now)
        identity.logBegin(to: logger)
    }

    /// Whether the socket is still to be made.
    package var isPending: Bool {
        if case .waiting = state { true } else { false }
    }

    private var dropped: DroppedDatagrams { identity.statistics.metrics.droppedDatagrams }

    package var id: StreamID? { stream }
    package var moved: StreamPipe.ByteCounts { counts }

    /// Makes the socket, for the first address to which there is a route.
    ///
    /// - Returns: fails if the system has no socket, or no route.
    package func connect(to addresses: [IPAddress], port: UInt16) -> EventLoopFuture<any Channel> {
        let loop = session.eventLoop
        guard let first = addresses.first else { return loop.makeFailedFuture(NameFailure.notFound) }
        let flow = NIOLoopBound(self, eventLoop: loop)
        return connect(to: first, port: port).flatMapError { error in
            guard addresses.count > 1, flow.value.isPending else { return loop.makeFailedFuture(error) }
            return flow.value.connect(to: Array(addresses.dropFirst()), port: port)
        }
    }

    private func connect(to address: IPAddress, port: UInt16) -> EventLoopFuture<any Channel> {
        let loop = session.eventLoop
        let flow = NIOLoopBound(self, eventLoop: loop)
        do {
            let target = try SocketAddress(ipAddress: "\(address)", port: Int(port))
            let buffer = buffer
            return DatagramBootstrap(group: loop)
                .channelOption(.recvAllocator, value: buffer)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        DescriptorCount.shared.track(channel)
                        try buffer.read(from: channel)
                        try channel.pipeline.syncOperations.addHandler(flow.value)
                    }
                }
                .connect(to: target)
        } catch {
            return loop.makeFailedFuture(error)
        }
    }

    // MARK: From the peer

    package func deliver(_ datagram: ByteBuffer) {
        silence.received(now: .now)
        switch state {
        case .waiting(var datagrams):
            state = .ended
            dropped.add(.socket, datagrams.append(datagram.dense(from: 2), now: .now))
            state = .waiting(datagrams)
        case .open(let context, let remote):
            // A socket that takes nothing loses datagrams, as a full queue of a router does.
            guard context.channel.isWritable else { return dropped.add(.socket) }
            send(datagram, to: remote, context)
        case .ended:
            break
        }
    }

    private func send(_ datagram: ByteBuffer, to remote: SocketAddress, _ context: ChannelHandlerContext) {
        guard policy.admitsWrite(datagram.readableBytes) else { return dropped.add(.rate) }
        counts.toSocket += datagram.readableBytes
        context.write(wrapOutboundOut(AddressedEnvelope(remoteAddress: remote, data: datagram)), promise: nil)
    }

    package func flush() {
        if case .open(let context, _) = state { context.flush() }
    }

    package func ended(_ code: ResetCode) {
        end(.resetByOtherEnd(code))
    }

    /// The destination cannot be reached.
    package func fail(_ code: ResetCode) {
        if case .ended = state { return }
        session.run(.reset(stream, code))
        end(.withoutSocket)
    }

    private func end(_ ending: SocketState.Ending) {
        if case .ended = state { return }
        let open = if case .open(let context, _) = state { context } else { nil as ChannelHandlerContext? }
        state = .ended
        timer?.cancel()
        identity.logEnd(of: stream, moved, ending, to: logger)
        onEnd()
        open?.close(promise: nil)
    }

    private func watchSilence(_ loop: any EventLoop) {
        timer = loop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(silence.deadline.nanoseconds)) {
            guard Instant.now >= self.silence.deadline else { return self.watchSilence(loop) }
            self.session.run(.reset(self.stream, .timeout))
            self.end(.idle)
        }
    }

    // MARK: The channel

    package func channelActive(context: ChannelHandlerContext) {
        guard case .waiting(var datagrams) = state, let remote = context.remoteAddress else {
            return context.close(promise: nil)
        }
        state = .open(context, remote)
        identity.statistics.joined(self)
        watchSilence(context.eventLoop)
        let young = datagrams.takeYoung(now: .now)
        dropped.add(.age, young.dropped)
        for datagram in young.datagrams { send(datagram, to: remote, context) }
        context.flush()
        session.run(.accept(stream))
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let datagram = unwrapInboundIn(data).data
        guard !buffer.mayBeCut else { return dropped.add(.socket) }
        guard policy.admitsRead(datagram.readableBytes) else { return dropped.add(.rate) }
        onAnswer?()
        onAnswer = nil
        counts.fromSocket += datagram.readableBytes
        silence.sent(now: .now)
        session.run(.datagram(stream, datagram.dense(from: 2)))
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        session.run(.readCompleted)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .ended = state { return }
        let isRefused = if case .refused? = SocketFailure(error) { true } else { false }
        let code: ResetCode = isRefused ? .refused : .unreachable
        onFailure?(code)
        session.run(.reset(stream, code))
        end(.resetByThisSocket)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if case .ended = state {} else { session.run(.reset(stream, .connectionReset)) }
        end(.resetByThisSocket)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        identity.statistics.left(self)
    }
}
